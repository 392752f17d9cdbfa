//! The metrics of the server: the head of the log, and the subscriptions of all protocols.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use factum::Position;
use factum::metrics::{Metric, MetricKind};

use crate::access::REFUSED_REQUESTS;
use crate::groups::metrics::{
    GROUP_CONSUMERS, GROUP_DEAD_LETTERS, GROUP_IN_FLIGHT, GROUP_LAG, GROUP_REDELIVERIES,
};

/// The version of the server and its backend.
pub const INFO: Metric = Metric {
    name: "event_store_info",
    kind: MetricKind::Gauge,
    unit: "servers",
    labels: &["version", "backend"],
    meaning: "Always 1; the labels have the version of the server and the name of its backend",
};

/// Whether the server is ready.
pub const READY: Metric = Metric {
    name: "event_store_ready",
    kind: MetricKind::Gauge,
    unit: "servers",
    labels: &[],
    meaning: "1 if the store accepts writes and the server does not stop, otherwise 0",
};

/// The head of the log.
pub const HEAD: Metric = Metric {
    name: "event_store_head_position",
    kind: MetricKind::Gauge,
    unit: "position",
    labels: &[],
    meaning: "Position of the last event in the log",
};

/// The number of open subscriptions.
pub const SUBSCRIPTIONS: Metric = Metric {
    name: "event_store_subscriptions_open",
    kind: MetricKind::Gauge,
    unit: "subscriptions",
    labels: &["protocol"],
    meaning: "Open subscriptions of a protocol: `native`, `kurrentdb` or `umadb`",
};

/// The lag of the slowest subscription.
pub const SUBSCRIPTION_LAG: Metric = Metric {
    name: "event_store_subscription_lag_events",
    kind: MetricKind::Gauge,
    unit: "events",
    labels: &["protocol"],
    meaning: "Events in the log that the slowest open subscription has not examined; 0 without subscriptions",
};

/// The number of times that a subscription fell behind.
pub const FELL_BEHIND: Metric = Metric {
    name: "event_store_subscriptions_fell_behind_total",
    kind: MetricKind::Counter,
    unit: "subscriptions",
    labels: &["protocol"],
    meaning: "Times that a subscription which had caught up was too slow for the new events",
};

/// All metrics that the server adds to those of the framework, and of connections and calls.
pub const EVENT_STORE_METRICS: &[Metric] = &[
    INFO,
    READY,
    HEAD,
    SUBSCRIPTIONS,
    SUBSCRIPTION_LAG,
    FELL_BEHIND,
    GROUP_LAG,
    GROUP_DEAD_LETTERS,
    GROUP_CONSUMERS,
    GROUP_IN_FLIGHT,
    GROUP_REDELIVERIES,
    REFUSED_REQUESTS,
];

/// The protocol of a subscription, a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// The native API.
    Native,
    /// The protocol of KurrentDB.
    Kurrentdb,
    /// The protocol of UmaDB.
    Umadb,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Native, Self::Kurrentdb, Self::Umadb];

    fn label(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Kurrentdb => "kurrentdb",
            Self::Umadb => "umadb",
        }
    }
}

/// The positions of the open subscriptions of this process.
static OPEN: LazyLock<Mutex<OpenSubscriptions>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct OpenSubscriptions {
    opened: u64,
    positions: HashMap<u64, (Protocol, Arc<AtomicU64>)>,
}

fn open() -> MutexGuard<'static, OpenSubscriptions> {
    // No method panics while it changes the map.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A subscription that is counted as open until this is dropped.
#[derive(Debug)]
pub struct SubscriptionMetrics {
    protocol: Protocol,
    number: u64,
    position: Arc<AtomicU64>,
}

impl SubscriptionMetrics {
    /// Counts a subscription of `protocol` that has examined the log up to `position`.
    #[must_use]
    pub fn new(protocol: Protocol, position: Position) -> Self {
        let position = Arc::new(AtomicU64::new(position.get()));
        let mut open = open();
        let number = open.opened;
        open.opened += 1;
        open.positions.insert(number, (protocol, position.clone()));
        Self {
            protocol,
            number,
            position,
        }
    }

    /// Notes that the log was examined up to `position`.
    pub fn advance(&self, position: Position) {
        self.position.store(position.get(), Ordering::Relaxed);
    }

    /// Counts that the subscription fell behind.
    pub fn fell_behind(&self) {
        metrics::counter!(FELL_BEHIND.name, "protocol" => self.protocol.label()).increment(1);
    }
}

impl Drop for SubscriptionMetrics {
    fn drop(&mut self) {
        open().positions.remove(&self.number);
    }
}

/// Sets the gauges of the log and the subscriptions.
pub fn measure(backend: &'static str, head: Position, is_ready: bool) {
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!(INFO.name, "version" => version, "backend" => backend).set(1.0);
    metrics::gauge!(READY.name).set(if is_ready { 1.0 } else { 0.0 });
    metrics::gauge!(HEAD.name).set(head.get() as f64);
    let open = open();
    for protocol in Protocol::ALL {
        let positions = || {
            let of_protocol = open.positions.values().filter(|(of, _)| *of == protocol);
            of_protocol.map(|(_, position)| position.load(Ordering::Relaxed))
        };
        let lag = positions()
            .min()
            .map_or(0, |slowest| head.get().saturating_sub(slowest));
        let label = protocol.label();
        metrics::gauge!(SUBSCRIPTIONS.name, "protocol" => label).set(positions().count() as f64);
        metrics::gauge!(SUBSCRIPTION_LAG.name, "protocol" => label).set(lag as f64);
    }
}
