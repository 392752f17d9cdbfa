//! The status, the log and the spans of gRPC calls that fail in the service.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/in_process.rs"]
mod in_process;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/messages.rs"]
mod messages;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use spec_service::grpc::generated::{ListSpecsRequest, SpecState};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::format::FmtSpan;

use in_process::{InProcess, StubList};
use messages::{by, get, new};

/// Returns the status of a list call for which the read model responds with `list`.
async fn list_status(list: StubList) -> Status {
    let server = InProcess::start(list).await;
    let mut client = server.client();
    let response = client.list_specs(ListSpecsRequest::default()).await;
    response.unwrap_err()
}

/// Returns the code, the reason and the retry delay in seconds.
fn details_of(status: &Status) -> (Code, String, Option<u64>) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.domain, "spec-service");
    let retry = details.retry_info().and_then(|retry| retry.retry_delay);
    (
        status.code(),
        info.reason.clone(),
        retry.map(|delay| delay.as_secs()),
    )
}

#[tokio::test]
async fn retryable_status_has_a_retry_delay() {
    let contended = list_status(StubList::Contended).await;
    let expected = (Code::Aborted, "CONTENDED".to_owned(), Some(1));
    assert_eq!(details_of(&contended), expected);
    let unavailable = list_status(StubList::Unavailable).await;
    let expected = (Code::Unavailable, "UNAVAILABLE".to_owned(), Some(1));
    assert_eq!(details_of(&unavailable), expected);
    assert_eq!(
        unavailable.message(),
        "the store is unavailable; try again later"
    );
}

#[tokio::test]
async fn failure_cause_is_logged_but_not_returned() {
    let (log, _guard) = capture_log();
    for (list, cause) in [
        (StubList::Unavailable, "disk 7 is gone"),
        (StubList::Broken, "page 9 is torn"),
    ] {
        let status = list_status(list).await;
        let response = format!("{} {:?}", status.message(), status.get_error_details());
        assert!(!response.contains(cause), "{response}");
        let errors = entries(&log, |entry| entry["level"] == "ERROR");
        let error = errors.last().unwrap()["fields"]["error"].as_str().unwrap();
        assert!(error.ends_with(cause), "{error}");
    }
    let broken = list_status(StubList::Broken).await;
    assert_eq!(
        details_of(&broken),
        (Code::Internal, "INTERNAL".to_owned(), None)
    );
    assert_eq!(broken.message(), "internal error; see the service log");
}

#[tokio::test]
async fn panic_fails_only_its_own_call() {
    let server = InProcess::start(StubList::Panicking).await;
    let mut client = server.client();
    let failed = client.list_specs(ListSpecsRequest::default()).await;
    let failed = failed.unwrap_err();
    assert_eq!(
        details_of(&failed),
        (Code::Internal, "INTERNAL".to_owned(), None)
    );
    assert_eq!(failed.message(), "internal error; see the service log");
    // The connection still works.
    let drafts = ListSpecsRequest {
        state: Some(SpecState::Draft.into()),
        ..ListSpecsRequest::default()
    };
    let response = client.list_specs(drafts).await.unwrap();
    assert_eq!(response.into_inner().total, Some(0));
}

#[tokio::test]
async fn slow_call_times_out() {
    let server = InProcess::start_with(StubList::Silent, Duration::from_millis(20)).await;
    let mut client = server.client();
    let timed_out = client.list_specs(ListSpecsRequest::default()).await;
    assert_eq!(timed_out.unwrap_err().code(), Code::Cancelled);
}

#[tokio::test]
async fn call_span_has_method_actor_and_code() {
    let (log, _guard) = capture_log();
    let server = InProcess::start(StubList::Empty).await;
    let correlation = "0190a6e2-7c1e-7d3a-9f00-5b2f3c4d5e6f";
    let mut create = by("ada", new("limits", "limit: 250\n"));
    let metadata = create.metadata_mut();
    metadata.insert("x-correlation-id", correlation.parse().unwrap());
    server.client().create_spec(create).await.unwrap();
    let missing = Request::new(get("00000000-0000-0000-0000-000000000000"));
    server.client().get_spec(missing).await.unwrap_err();
    server.stop().await;

    let ended = entries(&log, |entry| entry["fields"]["message"] == "close");
    let spans: Vec<_> = ended
        .into_iter()
        .map(|entry| entry["span"].clone())
        .filter(|span| span["name"] == "call")
        .collect();
    let expected = [
        json!({
            "name": "call",
            "method": "/spec.v1.SpecService/CreateSpec",
            "actor": "ada",
            "correlation_id": correlation,
            "code": "Ok",
        }),
        json!({
            "name": "call",
            "method": "/spec.v1.SpecService/GetSpec",
            "code": "NotFound",
        }),
    ];
    assert_eq!(spans, expected);
}

/// Captures the log of this thread, on which the test also runs its server.
fn capture_log() -> (Arc<Mutex<Vec<u8>>>, DefaultGuard) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || LogWriter(writer.clone()))
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn entries(log: &Mutex<Vec<u8>>, filter: impl Fn(&Value) -> bool) -> Vec<Value> {
    let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str(line).unwrap());
    entries.filter(filter).collect()
}
