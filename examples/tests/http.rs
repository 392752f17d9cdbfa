//! The answers of the REST API in the example `http`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/http/api.rs"]
mod api;
#[path = "../examples/http/problem.rs"]
mod problem;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use factum::prelude::*;
use factum_memory::MemoryStore;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// An answer: its status, its ETag, whether it repeats an earlier one, and its body.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    etag: Option<String>,
    replayed: bool,
    body: Value,
}

async fn send(api: &Router, call: &str, headers: &[(&str, &str)], body: Value) -> Answer {
    let (method, path) = call.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = api.clone().oneshot(request).await.unwrap();
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (status, etag) = (response.status(), header("etag"));
    let is_problem = header("content-type").as_deref() == Some("application/problem+json");
    assert_eq!(
        is_problem,
        status.is_client_error() || status.is_server_error()
    );
    let replayed = header("idempotency-replayed").is_some();
    let bytes = to_bytes(response.into_body(), 10_000).await.unwrap();
    let body = match &bytes[..] {
        [] => Value::Null,
        bytes => serde_json::from_slice(bytes).unwrap(),
    };
    Answer {
        status: status.as_u16(),
        etag,
        replayed,
        body,
    }
}

async fn bank() -> Router {
    let api = api::router(Engine::new(MemoryStore::new()));
    let opened = send(&api, "PUT /accounts/1", &[], json!({ "customer": "ada" })).await;
    assert_eq!(
        (opened.status, opened.etag.as_deref()),
        (200, Some("\"1\""))
    );
    api
}

const DEPOSIT: &str = "POST /accounts/1/deposits";

fn problem(answer: &Answer) -> (u16, &str) {
    let kind = answer.body["type"].as_str().unwrap();
    assert_eq!(answer.body["status"], answer.status);
    (answer.status, kind.rsplit('/').next().unwrap())
}

#[tokio::test]
async fn repeated_key_gets_the_first_answer() {
    let api = bank().await;
    let key = [("idempotency-key", "d-1")];
    let first = send(&api, DEPOSIT, &key, json!({ "amount": 30 })).await;
    assert_eq!(first.etag.as_deref(), Some("\"2\""));
    assert_eq!(first.body, json!({ "customer": "ada", "balance": 30 }));
    send(&api, DEPOSIT, &[], json!({ "amount": 5 })).await;
    let again = send(&api, DEPOSIT, &key, json!({ "amount": 30 })).await;
    let replayed = true;
    assert_eq!(again, Answer { replayed, ..first });
    let other = send(&api, DEPOSIT, &key, json!({ "amount": 31 })).await;
    assert_eq!(problem(&other), (422, "idempotency-key-reused"));
    let long = "k".repeat(300);
    let long = send(
        &api,
        DEPOSIT,
        &[("idempotency-key", &long)],
        json!({ "amount": 1 }),
    )
    .await;
    assert_eq!(problem(&long), (400, "invalid-request"));
    let detail = long.body["detail"].as_str().unwrap();
    assert!(detail.contains("300 bytes; the limit is 256"), "{detail}");
}

#[tokio::test]
async fn if_match_rejects_a_changed_account() {
    let api = bank().await;
    let current = send(
        &api,
        DEPOSIT,
        &[("if-match", "\"1\"")],
        json!({ "amount": 30 }),
    )
    .await;
    assert_eq!(current.status, StatusCode::OK);
    let stale = send(
        &api,
        DEPOSIT,
        &[("if-match", "\"1\"")],
        json!({ "amount": 30 }),
    )
    .await;
    assert_eq!(problem(&stale), (412, "version-mismatch"));
    for invalid in ["1", "W/\"1\"", "\"+1\"", "\"\""] {
        let answer = send(
            &api,
            DEPOSIT,
            &[("if-match", invalid)],
            json!({ "amount": 1 }),
        )
        .await;
        assert_eq!(problem(&answer), (400, "invalid-request"), "{invalid}");
    }
    let unchanged = [("if-none-match", "\"2\"")];
    let shown = send(&api, "GET /accounts/1", &unchanged, Value::Null).await;
    assert_eq!((shown.status, shown.body), (304, Value::Null));
}

#[tokio::test]
async fn rejections_and_missing_accounts_are_problems() {
    let api = bank().await;
    let call = "POST /accounts/1/withdrawals";
    let rejected = send(&api, call, &[], json!({ "amount": 1 })).await;
    assert_eq!(problem(&rejected), (422, "rejected"));
    assert_eq!(rejected.body["detail"], "insufficient balance: 0");
    let missing = send(&api, "GET /accounts/2", &[], Value::Null).await;
    assert_eq!(problem(&missing), (404, "not-found"));
}
