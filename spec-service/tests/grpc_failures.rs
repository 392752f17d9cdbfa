//! What the gRPC API says when something fails on its side, and what its log says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "support/in_process.rs"]
mod in_process;
#[allow(dead_code, reason = "each test takes what it needs")]
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

use in_process::{InProcess, List};
use messages::{by, get, new};

/// The status that a list gives, which `list` answers.
async fn listed(list: List) -> Status {
    let server = InProcess::start(list).await;
    let mut client = server.client();
    let answer = client.list_specs(ListSpecsRequest::default()).await;
    answer.unwrap_err()
}

/// The code, the reason, and the seconds after which to try again.
fn told(status: &Status) -> (Code, String, Option<u64>) {
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
async fn what_may_succeed_later_says_when_to_try_again() {
    let contended = listed(List::Contended).await;
    let expected = (Code::Aborted, "CONTENDED".to_owned(), Some(1));
    assert_eq!(told(&contended), expected);
    let unavailable = listed(List::Unavailable).await;
    let expected = (Code::Unavailable, "UNAVAILABLE".to_owned(), Some(1));
    assert_eq!(told(&unavailable), expected);
    assert_eq!(unavailable.message(), "the store is not available");
}

#[tokio::test]
async fn a_failure_keeps_its_cause_for_the_log() {
    let (log, _guard) = log();
    for (list, cause) in [
        (List::Unavailable, "disk 7 is gone"),
        (List::Broken, "page 9 is torn"),
    ] {
        let status = listed(list).await;
        let answer = format!("{} {:?}", status.message(), status.get_error_details());
        assert!(!answer.contains(cause), "{answer}");
        let errors = entries(&log, |entry| entry["level"] == "ERROR");
        let error = errors.last().unwrap()["fields"]["error"].as_str().unwrap();
        assert!(error.ends_with(cause), "{error}");
    }
    let broken = listed(List::Broken).await;
    assert_eq!(told(&broken), (Code::Internal, "INTERNAL".to_owned(), None));
    assert_eq!(broken.message(), "the service failed; its log says why");
}

#[tokio::test]
async fn a_panic_fails_one_call_and_neither_its_connection_nor_the_server() {
    let server = InProcess::start(List::Panicking).await;
    let mut client = server.client();
    let failed = client.list_specs(ListSpecsRequest::default()).await;
    let failed = failed.unwrap_err();
    assert_eq!(told(&failed), (Code::Internal, "INTERNAL".to_owned(), None));
    assert_eq!(failed.message(), "the service failed; its log says why");
    // The same connection, and the same call without the panic.
    let drafts = ListSpecsRequest {
        state: Some(SpecState::Draft.into()),
        ..ListSpecsRequest::default()
    };
    let answer = client.list_specs(drafts).await.unwrap();
    assert_eq!(answer.into_inner().total, 0);
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends() {
    let server = InProcess::start_with(List::Silent, Duration::from_millis(20)).await;
    let mut client = server.client();
    let late = client.list_specs(ListSpecsRequest::default()).await;
    assert_eq!(late.unwrap_err().code(), Code::Cancelled);
}

#[tokio::test]
async fn each_call_is_a_span_with_who_called_what_and_the_outcome() {
    let (log, _guard) = log();
    let server = InProcess::start(List::Empty).await;
    let correlation = "0190a6e2-7c1e-7d3a-9f00-5b2f3c4d5e6f";
    let mut create = by("ada", new("limits", "limit: 250\n"));
    let metadata = create.metadata_mut();
    metadata.insert("x-correlation-id", correlation.parse().unwrap());
    server.client().create_spec(create).await.unwrap();
    let nobody = Request::new(get("00000000-0000-0000-0000-000000000000"));
    server.client().get_spec(nobody).await.unwrap_err();
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

/// What is logged on this thread, on which a test runs its server, too.
fn log() -> (Arc<Mutex<Vec<u8>>>, DefaultGuard) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || Writer(writer.clone()))
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn entries(log: &Mutex<Vec<u8>>, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str(line).unwrap());
    entries.filter(wanted).collect()
}
