//! Conditional requests with entity tags.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

use server::{Server, problem};

fn etag(response: &Response) -> String {
    response.headers()[header::ETAG]
        .to_str()
        .unwrap()
        .to_owned()
}

/// Replaces the content of `id` with the header `If-Match`.
async fn put(server: &Server, id: &str, tag: &str) -> Response {
    let put = server
        .request(Method::PUT, &format!("/v1/specs/{id}"))
        .header(header::IF_MATCH, tag);
    put.json(&json!({"content": "a: 2\n"}))
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn write_with_another_etag_is_rejected() {
    let (_dir, server) = Server::fresh();
    let id = server.create("etags", "a: 1\n").await;
    for tag in ["\"2\"", "\"0\"", "W/\"1\"", "\"other\"", "\"7\", \"8\""] {
        let rejected = problem(
            put(&server, &id, tag).await,
            StatusCode::PRECONDITION_FAILED,
        )
        .await;
        assert_eq!(
            (&rejected["code"], &rejected["actual"]),
            (&json!("revision_mismatch"), &json!(1)),
            "{tag}"
        );
    }
    let malformed = problem(put(&server, &id, "1").await, StatusCode::BAD_REQUEST).await;
    assert_eq!(malformed["code"], "malformed");
    for (tag, after) in [
        ("\"1\"", "\"2\""),
        ("*", "\"3\""),
        ("\"9\", \"3\"", "\"4\""),
    ] {
        let updated = put(&server, &id, tag).await;
        assert_eq!(
            (updated.status(), etag(&updated)),
            (StatusCode::OK, after.to_owned()),
            "{tag}"
        );
    }
    let stale = |method: Method, path: &str, body: Value| {
        let request = server.request(method, &format!("/v1/specs/{id}{path}"));
        let sent = request.header(header::IF_MATCH, "\"1\"").json(&body).send();
        async { problem(sent.await.unwrap(), StatusCode::PRECONDITION_FAILED).await }
    };
    stale(Method::POST, "/publish", json!({})).await;
    stale(Method::POST, "/deprecate", json!({"reason": "old"})).await;
    stale(Method::DELETE, "", json!({})).await;
    assert_eq!(etag(&server.get(&format!("/v1/specs/{id}")).await), "\"4\"");
}

#[tokio::test]
async fn missing_spec_is_reported_before_the_etag() {
    let (_dir, server) = Server::fresh();
    let id = server.create("etags", "a: 1\n").await;
    server
        .request(Method::DELETE, &format!("/v1/specs/{id}"))
        .send()
        .await
        .unwrap();
    for tag in ["\"1\"", "\"2\"", "*", "\"1\", \"9\""] {
        problem(put(&server, &id, tag).await, StatusCode::GONE).await;
    }
    let missing = uuid::Uuid::now_v7().to_string();
    for tag in ["\"1\"", "*", "\"1\", \"9\""] {
        problem(put(&server, &missing, tag).await, StatusCode::NOT_FOUND).await;
    }
}

#[tokio::test]
async fn unchanged_spec_is_not_sent_again() {
    let (_dir, server) = Server::fresh();
    let path = format!("/v1/specs/{}", server.create("etags", "a: 1\n").await);
    for (tag, status) in [
        ("\"1\"", StatusCode::NOT_MODIFIED),
        ("W/\"1\"", StatusCode::NOT_MODIFIED),
        ("\"7\", \"1\"", StatusCode::NOT_MODIFIED),
        ("*", StatusCode::NOT_MODIFIED),
        ("\"2\"", StatusCode::OK),
    ] {
        let get = server
            .request(Method::GET, &path)
            .header(header::IF_NONE_MATCH, tag);
        let response = get.send().await.unwrap();
        assert_eq!(
            (response.status(), etag(&response)),
            (status, "\"1\"".to_owned()),
            "{tag}"
        );
    }
}
