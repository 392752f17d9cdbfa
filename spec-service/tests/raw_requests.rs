//! Request heads that a client library does not send.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use server::Server;

/// Sends `bytes`, and returns the head and the body of the last response.
async fn exchange(server: &Server, bytes: &[u8]) -> (String, String) {
    let mut socket = TcpStream::connect(server.rest_address()).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut received = Vec::new();
    // The server may reset the connection after a response, because it does not read the rest of the request.
    let _ = socket.read_to_end(&mut received).await;
    let text = String::from_utf8(received).unwrap();
    // The body of an earlier response is the line `alive`.
    let starts = text.match_indices("HTTP/1.").map(|(start, _)| start);
    let last = starts
        .filter(|start| *start == 0 || text[..*start].ends_with("alive\n"))
        .last();
    let last = last.unwrap_or_else(|| panic!("no response: {text:?}"));
    let (head, body) = text[last..].split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn malformed_heads_return_problems() {
    let (_dir, server) = Server::fresh();
    let uri = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(70_000));
    let long = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: 1\r\n".repeat(200)
    );
    let get = |lines: &str| format!("GET /livez HTTP/1.1\r\n{lines}connection: close\r\n\r\n");
    for (request, status, code) in [
        ("nonsense\r\n\r\n".to_owned(), "400", "malformed"),
        (
            "GET / HTTP/1.1\r\nhost : a\r\n\r\n".to_owned(),
            "400",
            "malformed",
        ),
        (get("host: a\r\ncontent-length: x\r\n"), "400", "malformed"),
        (uri, "414", "uri_too_long"),
        (long, "431", "head_too_large"),
        (many, "431", "head_too_large"),
        (get(""), "400", "malformed"),
        (get("host: a\r\nhost: a\r\n"), "400", "malformed"),
        (get("host: a b\r\n"), "400", "malformed"),
        (get("host: a@b\r\n"), "400", "malformed"),
        (
            get("host: a\r\nx-actor: eve\r\nx-actor: bob\r\n"),
            "400",
            "malformed",
        ),
        (
            get("host: a\r\nx-correlation-id: 7\r\n"),
            "400",
            "malformed",
        ),
        // A request after a valid one on the same connection.
        (
            "GET /livez HTTP/1.1\r\nhost: a\r\n\r\nnonsense\r\n\r\n".to_owned(),
            "400",
            "malformed",
        ),
    ] {
        let shown: String = request.chars().take(80).collect();
        let (head, body) = exchange(&server, request.as_bytes()).await;
        assert_eq!(head.split(' ').nth(1), Some(status), "{shown}");
        assert!(
            head.contains("\r\ncontent-type: application/problem+json"),
            "{shown}: {head}"
        );
        assert!(head.contains("\r\ndate: "), "{shown}: {head}");
        let problem: Value =
            serde_json::from_str(&body).unwrap_or_else(|_| panic!("{shown}: {body}"));
        assert_eq!(problem["code"], code, "{shown}");
        assert_eq!(problem["status"].to_string(), status, "{shown}");
    }
    let text = server.get("/metrics").await.text().await.unwrap();
    assert!(text.contains("requests_refused_total{api=\"rest\",code=\"uri_too_long\"} 1\n"));
}

#[tokio::test]
async fn valid_heads_are_accepted() {
    let (_dir, server) = Server::fresh();
    for request in [
        "GET /livez HTTP/1.0\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: localhost:3000\r\nconnection: close\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: [::1]:80\r\nconnection: close\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: a\r\ntraceparent: 1\r\ntraceparent: 2\r\nconnection: close\r\n\r\n",
    ] {
        let (head, body) = exchange(&server, request.as_bytes()).await;
        assert_eq!(head.split(' ').nth(1), Some("200"), "{request}");
        assert_eq!(body, "alive\n", "{request}");
    }
}

#[tokio::test]
async fn error_response_repeats_no_long_value() {
    let (_dir, server) = Server::fresh();
    let long = "7".repeat(8_000);
    for (method, path, body) in [
        ("GET", format!("/v1/specs/{long}"), String::new()),
        (
            "GET",
            format!("/v1/specs/{}/versions/{long}x", uuid::Uuid::nil()),
            String::new(),
        ),
        ("GET", format!("/v1/specs?state={long}"), String::new()),
        ("GET", format!("/v1/specs?cursor={long}"), String::new()),
        ("GET", format!("/v1/specs?limit={long}"), String::new()),
        ("GET", format!("/v1/specs?{long}=1"), String::new()),
        ("POST", "/v1/specs".to_owned(), format!("{{\"{long}\": 1}}")),
        (
            "POST",
            "/v1/specs".to_owned(),
            format!("{{\"name\": \"{long}\", \"content\": \"a\"}}"),
        ),
    ] {
        let head = "host: a\r\ncontent-type: application/json\r\nconnection: close";
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{head}\r\nx-correlation-id: {long}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        for request in [
            request.replace(&format!("x-correlation-id: {long}\r\n"), ""),
            request,
        ] {
            let (head, body) = exchange(&server, request.as_bytes()).await;
            assert!(
                head.starts_with("http/1.1 4"),
                "{method} {path:.40}: {head}"
            );
            assert!(
                head.len() + body.len() < 1_500,
                "{method} {path:.40}: {}",
                body.len()
            );
        }
    }
}
