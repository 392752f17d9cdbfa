//! The log and the metric of refused requests.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use factum::metrics::{Metric, MetricKind};
use factum::store::Denied;
use tracing::warn;

/// The number of refused requests.
pub const REFUSED_REQUESTS: Metric = Metric {
    name: "event_store_refused_requests_total",
    kind: MetricKind::Counter,
    unit: "requests",
    labels: &["reason"],
    meaning: "Refused requests, by reason: `missing_credentials`, `invalid_credentials`, `throttled` (too many failed attempts) or `denied` (no permission)",
};

/// The shortest time between two log lines about refused requests.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// The reason of a refused request, as a label of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// The request has no credentials.
    Missing,
    /// The credentials are not valid.
    Invalid,
    /// The client must wait after failed attempts.
    Throttled,
    /// The caller does not have a permission.
    Denied,
}

impl RefusalReason {
    fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing_credentials",
            Self::Invalid => "invalid_credentials",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
        }
    }
}

/// The time of the last line, and the number of refusals since.
struct LogState {
    last: Option<Instant>,
    omitted: u64,
}

static LOG: Mutex<LogState> = Mutex::new(LogState {
    last: None,
    omitted: 0,
});

/// Returns the number of lines that were omitted since the last one, or `None` if this one must be omitted.
fn line() -> Option<u64> {
    let mut log = LOG
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let now = Instant::now();
    if log.last.is_some_and(|last| now - last < LOG_PAUSE) {
        log.omitted += 1;
        return None;
    }
    log.last = Some(now);
    Some(std::mem::take(&mut log.omitted))
}

fn count(reason: RefusalReason) {
    metrics::counter!(REFUSED_REQUESTS.name, "reason" => reason.label()).increment(1);
}

/// Records a request whose caller does not have a permission.
pub fn record_denied(denied: &Denied) {
    count(RefusalReason::Denied);
    if let Some(omitted) = line() {
        let Denied {
            principal,
            permission,
            resource,
        } = denied;
        warn!(
            principal,
            permission, resource, omitted, "request refused: permission denied"
        );
    }
}

/// Records a request that was not authenticated. `user` is the name that the client claims.
pub fn record_unauthenticated(reason: RefusalReason, address: Option<IpAddr>, user: Option<&str>) {
    count(reason);
    if let Some(omitted) = line() {
        let address = address.map(|address| address.to_string());
        let reason = reason.label();
        warn!(
            address,
            user, reason, omitted, "request refused: not authenticated"
        );
    }
}
