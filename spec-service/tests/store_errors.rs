//! The status and the code of each error of the store, over REST and over gRPC.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "support/no_index.rs"]
mod no_index;

use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use factum::Position;
use factum::prelude::*;
use factum::store::{InvalidField, StoreError};
use factum_memory::MemoryStore;
use serde_json::{Value, json};
use spec_service::access::domain::TenantId;
use spec_service::app::{AppError, Application};
use spec_service::audit::Audit;
use spec_service::bulk::Bulk;
use spec_service::changes::ChangeFeed;
use spec_service::rest::{Api, router};
use spec_service::search::Search;
use spec_service::specs::app::{ListPage, ListQuery, SpecList, Specs};
use spec_service::transfer::ImportExport;
use spec_service::webhooks::app::Webhooks;
use spec_service::webhooks::delivery::SecretKey;
use tokio::sync::watch;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::Service as _;

use no_index::NoIndex;

/// A list whose store fails.
struct FailingList(fn() -> StoreError);

#[async_trait]
impl SpecList for FailingList {
    async fn page(&self, _: &TenantId, _: ListQuery) -> Result<ListPage, AppError> {
        Err(self.0().into())
    }
}

/// An error of the store, and how each API answers.
struct Case {
    error: fn() -> StoreError,
    code: &'static str,
    rest: u16,
    grpc: Code,
    /// Whether the answer asks the caller to repeat the request.
    retry: bool,
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { error: || StoreError::Unavailable("lock timeout".into()), code: "unavailable", rest: 503, grpc: Code::Unavailable, retry: true },
    Case { error: || StoreError::Interrupted("connection reset".into()), code: "unavailable", rest: 503, grpc: Code::Unavailable, retry: true },
    Case { error: || StoreError::Closed, code: "unavailable", rest: 503, grpc: Code::Unavailable, retry: true },
    Case { error: || StoreError::CannotOpen("no directory /data".into()), code: "unavailable", rest: 503, grpc: Code::Unavailable, retry: true },
    Case { error: || StoreError::NewerSchema { found: 2, known: 1 }, code: "unavailable", rest: 503, grpc: Code::Unavailable, retry: true },
    Case { error: || InvalidField::text("name", "a\0", "no NUL").into(), code: "invalid_text", rest: 422, grpc: Code::InvalidArgument, retry: false },
    Case { error: || StoreError::BeyondHead { position: Position::new(9), head: Position::new(4) }, code: "position_beyond_head", rest: 409, grpc: Code::OutOfRange, retry: false },
    Case { error: || StoreError::ReadOnly, code: "read_only", rest: 403, grpc: Code::FailedPrecondition, retry: false },
    Case { error: || StoreError::Failed("page 9 is torn".into()), code: "internal", rest: 500, grpc: Code::Internal, retry: false },
    Case { error: || StoreError::Corrupt("no tags".into()), code: "internal", rest: 500, grpc: Code::Internal, retry: false },
    Case { error: || StoreError::Unsupported { operation: "import" }, code: "internal", rest: 500, grpc: Code::Internal, retry: false },
    Case { error: || StoreError::InsideProjection { projection: "spec_list" }, code: "internal", rest: 500, grpc: Code::Internal, retry: false },
];

/// Returns the status, the problem and `Retry-After` of a list request for which the store fails.
async fn rest_answer(error: fn() -> StoreError) -> (u16, Value, bool) {
    let engine = Engine::new(MemoryStore::new());
    let runtime = Runtime::builder(&engine).start().await.unwrap();
    let app = Application::new(engine, runtime);
    let specs = Specs::new(app.clone(), FailingList(error));
    let stop = watch::channel(false).1;
    let mut router = router(Api {
        audit: Audit::new(app.clone()),
        changes: ChangeFeed::new(app.clone(), specs.clone(), 1, stop),
        webhooks: Webhooks::new(app.clone(), InMemory::new(), SecretKey::new([0; 32])),
        specs: specs.clone(),
        transfer: ImportExport::new(app.clone(), specs, Bulk::new(app.clone(), 2_048), 2_048),
        search: Search::new(app.clone(), NoIndex),
        bulk: Bulk::new(app.clone(), 2_048),
        app,
        max_content: 2_048,
        ready_lag: 1_000,
        stopping: watch::channel(false).1,
        timeout: Duration::from_secs(30),
        metrics: None,
    });
    let request = Request::get("/v1/specs").header(header::HOST, "localhost");
    let request = request.body(Body::empty()).unwrap();
    let response = router.call(request).await.unwrap();
    let (status, retry) = (
        response.status().as_u16(),
        response.headers().contains_key(header::RETRY_AFTER),
    );
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap(), retry)
}

#[tokio::test]
async fn store_errors_have_a_status_and_a_code() {
    for case in CASES {
        let error = (case.error)().to_string();
        let (status, problem, retry) = rest_answer(case.error).await;
        let code = problem["code"].as_str().unwrap();
        assert_eq!(
            (status, code, retry),
            (case.rest, case.code, case.retry),
            "{error}"
        );

        let status = Status::from(AppError::from((case.error)()));
        let details = status.get_error_details();
        let reason = details.error_info().unwrap().reason.to_lowercase();
        let retry = details.retry_info().is_some();
        assert_eq!(
            (status.code(), &*reason, retry),
            (case.grpc, case.code, case.retry),
            "{error}"
        );
    }
}

#[tokio::test]
async fn position_beyond_the_head_has_both_positions() {
    let beyond = || StoreError::BeyondHead {
        position: Position::new(9),
        head: Position::new(4),
    };
    let (_, problem, _) = rest_answer(beyond).await;
    assert_eq!(
        (&problem["position"], &problem["head"]),
        (&json!(9), &json!(4))
    );
    let status = Status::from(AppError::from(beyond()));
    let details = status.get_error_details();
    let facts = &details.error_info().unwrap().metadata;
    assert_eq!(
        ["position", "head"].map(|name| facts[name].as_str()),
        ["9", "4"]
    );
    assert_eq!(problem["detail"], status.message());
}
