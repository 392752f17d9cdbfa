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
    for tag in [
        "\"2\"",
        "\"0\"",
        "W/\"1\"",
        "\"other\"",
        "\"7\", \"8\"",
        "\"+1\"",
        "\"01\"",
        "\"1,2\"",
        "\"1-json\"",
        "W/\"1-yaml\"",
    ] {
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
    for tag in ["1", "", "\"1", "*, \"1\"", "\"1\" \"2\"", "w/\"1\""] {
        let malformed = problem(put(&server, &id, tag).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(malformed["code"], "malformed", "{tag}");
    }
    for (tag, after) in [
        ("\"1\"", "\"2\""),
        ("*", "\"3\""),
        ("\"9\", \"3\"", "\"4\""),
        ("\"4-yaml\"", "\"5\""),
        (", \"9\" ,, \"5-yaml\"", "\"6\""),
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
    assert_eq!(etag(&server.get(&format!("/v1/specs/{id}")).await), "\"6\"");
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

/// Sends `method` to `path` with the headers.
async fn send(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = server.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn unchanged_spec_is_not_sent_again() {
    let (_dir, server) = Server::fresh();
    let path = format!("/v1/specs/{}", server.create("etags", "a: 1\n").await);
    let (json, yaml) = ("application/json", "application/yaml");
    for (accept, tag, status, current) in [
        (json, "\"1\"", 304, "\"1\""),
        (json, "W/\"1\"", 304, "\"1\""),
        (json, "\"7\", \"1\"", 304, "\"1\""),
        (json, "*", 304, "\"1\""),
        (json, "\"2\"", 200, "\"1\""),
        (json, "\"01\"", 200, "\"1\""),
        // The client has the other representation.
        (json, "\"1-yaml\"", 200, "\"1\""),
        (yaml, "\"1\"", 200, "\"1-yaml\""),
        (yaml, "\"1-yaml\"", 304, "\"1-yaml\""),
    ] {
        let headers = [("accept", accept), ("if-none-match", tag)];
        let response = send(&server, Method::GET, &path, &headers).await;
        assert_eq!(response.status().as_u16(), status, "{accept} {tag}");
        assert_eq!(etag(&response), current, "{accept} {tag}");
        assert_eq!(response.headers()[header::VARY], "accept");
    }
    let version = format!("{path}/versions/1");
    let tag = etag(&send(&server, Method::GET, &version, &[]).await);
    assert_eq!(tag, "\"v1\"");
    let again = send(&server, Method::GET, &version, &[("if-none-match", &tag)]).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn conditions_apply_to_every_method() {
    let (_dir, server) = Server::fresh();
    let path = format!("/v1/specs/{}", server.create("etags", "a: 1\n").await);
    let history = format!("{path}/history");
    let publish = format!("{path}/publish");
    for (method, target, name, value, status) in [
        (Method::GET, path.as_str(), "if-match", "\"1\"", 200),
        (Method::GET, &path, "if-match", "W/\"1\"", 412),
        (Method::GET, &path, "if-match", "\"2\"", 412),
        (Method::GET, &history, "if-match", "*", 200),
        (Method::GET, &history, "if-match", "\"1\"", 412),
        (Method::GET, "/v1/specs", "if-match", "\"1\"", 412),
        (Method::GET, "/v1/specs", "if-none-match", "\"1\"", 200),
        (Method::POST, &publish, "if-none-match", "*", 412),
        (Method::POST, &publish, "if-none-match", "\"1\"", 412),
        (Method::POST, &publish, "if-none-match", "W/\"1-yaml\"", 412),
        (Method::DELETE, &path, "if-none-match", "*", 412),
        (Method::POST, "/v1/specs?name=n", "if-match", "\"1\"", 412),
        (Method::POST, "/v1/specs?name=n", "if-none-match", "*", 412),
        (Method::POST, &publish, "if-none-match", "\"7\"", 200),
    ] {
        let response = send(&server, method.clone(), target, &[(name, value)]).await;
        assert_eq!(
            response.status().as_u16(),
            status,
            "{method} {target} {name}: {value}"
        );
    }
    // The resource is missing, so its condition is not checked.
    let missing = format!("/v1/specs/{}/publish", uuid::Uuid::now_v7());
    let response = send(&server, Method::POST, &missing, &[("if-none-match", "*")]).await;
    problem(response, StatusCode::NOT_FOUND).await;
}
