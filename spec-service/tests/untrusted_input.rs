//! Property tests of untrusted input and of damaged stored events. Contents are tested in `hostile_yaml.rs`.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;

use factum::Event as _;
use factum::event::DecodeEvent as _;
use factum::store::{ContentType, RecordedEvent};
use factum::{Position, StreamId, Timestamp, Version};
use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use spec_service::app::Cursor;
use spec_service::specs::app::ListCursor;
use spec_service::specs::domain::{SpecEvent, SpecName, SpecState};
use uuid::Uuid;

use server::{Server, problem};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

const STORED_EVENTS: [(&str, &str); 5] = [
    (
        "spec.created",
        r#"{"name":"a.b","description":"x","content":"a: 1\n"}"#,
    ),
    ("spec.updated", r#"{"content":"a: 2\n"}"#),
    ("spec.published", r#"{"version":1}"#),
    ("spec.deprecated", r#"{"reason":"old"}"#),
    ("spec.deleted", r#"{"name":"a.b","reason":null}"#),
];

fn record(name: &str, data: Vec<u8>) -> RecordedEvent {
    RecordedEvent {
        position: Position::new(7),
        stream: StreamId::new("spec", Uuid::nil()).unwrap(),
        version: Version::new(3),
        id: Uuid::nil(),
        name: name.to_owned().into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: data.into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        recorded_at: Timestamp::from_micros(0),
    }
}

/// Creates stored event data with one byte replaced, removed or inserted.
fn corrupted_event() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let corruption = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    (prop::sample::select(STORED_EVENTS.to_vec()), corruption).prop_map(
        |((name, data), (at, byte, kind))| {
            let mut data = data.as_bytes().to_vec();
            let at = at.index(data.len());
            match kind {
                0 => data[at] = byte,
                1 => drop(data.remove(at)),
                _ => data.insert(at, byte),
            }
            (name, data)
        },
    )
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn corrupted_event_is_decoded_or_reported((name, data) in corrupted_event()) {
        match record(name, data).decode::<SpecEvent>() {
            Ok(event) => {
                let again = record(name, event.to_json().unwrap());
                prop_assert_eq!(again.decode::<SpecEvent>().unwrap(), event);
            }
            Err(error) => prop_assert!(error.to_string().contains("at position 7"), "{}", error),
        }
    }

    #[test]
    fn arbitrary_text_is_a_cursor_or_an_error(text in prop_oneof![any::<String>(), "p?[+-]?[0-9a-fA-F]{0,18}"]) {
        match text.parse::<ListCursor>() {
            Ok(cursor) => prop_assert_eq!(cursor.to_string().parse::<ListCursor>().unwrap(), cursor),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn cursor_round_trips_through_text(position in any::<u64>()) {
        let cursor: ListCursor = Cursor(position);
        prop_assert_eq!(cursor.to_string().parse::<ListCursor>().unwrap(), cursor);
    }

    #[test]
    fn arbitrary_text_is_a_name_or_an_error(text in prop_oneof![any::<String>(), "[a-z.A-Z_0-9-]{0,260}"]) {
        match SpecName::parse(&text) {
            Ok(name) => prop_assert_eq!(name.as_str(), &text),
            Err(error) => prop_assert!(error.to_string().chars().count() < 400),
        }
        if let Ok(state) = text.parse::<SpecState>() {
            prop_assert_eq!(state.as_str(), &text);
        }
    }
}

#[derive(Debug, Clone)]
struct RawRequest {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

/// Creates a header that the service reads, with a valid or invalid value.
fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let name = prop::sample::select(vec![
        "x-actor",
        "x-correlation-id",
        "idempotency-key",
        "traceparent",
        "if-match",
        "if-none-match",
        "content-type",
        "accept",
        "x-reason",
    ]);
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::sample::select(vec![
            "*",
            "\"1\"",
            "W/\"1\"",
            "\"1",
            "\"",
            "\"9\", \"1-yaml\"",
            "application/json",
            "application/yaml",
            "text/*;q=0.5, */*;q=x",
            "application/json; charset=\"",
            ";;,",
            "00-0-0-0",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    (name, value)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..60),
        Just(br#"{"name":"n","content":"a: 1\n"}"#.to_vec()),
        Just(br#"{"content":"a: \u0041\n","description":null}"#.to_vec()),
        Just(br#"{"version":1}"#.to_vec()),
        "[{]\"(name|content|version|reason)\":[\\[{\"0-9a-z}\\]-]{0,8}[}]?"
            .prop_map(String::into_bytes),
        Just(b"a: &a [*a]\n".to_vec()),
    ]
}

/// Creates a request that is nearly valid or arbitrary. `{id}` is replaced with the id of a specification.
fn raw_request() -> impl Strategy<Value = RawRequest> {
    let path = prop_oneof![
        Just(String::new()),
        Just("/{id}".to_owned()),
        prop::sample::select(vec![
            "publish",
            "deprecate",
            "versions",
            "history",
            "versions/1"
        ])
        .prop_map(|end| format!("/{{id}}/{end}")),
        any::<String>().prop_map(|text| format!("/{text}")),
        any::<String>().prop_map(|text| format!("/{{id}}/versions/{text}")),
    ];
    let query = prop_oneof![
        Just(String::new()),
        "(state|limit|cursor|after|x)=[a-z0-9%+-]{0,6}",
        any::<String>(),
    ];
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH"]);
    (
        method,
        path,
        query,
        prop::collection::vec(header(), 0..4),
        body(),
    )
        .prop_map(|(method, path, query, headers, body)| RawRequest {
            method,
            path,
            query,
            headers,
            body,
        })
}

/// Sends a request and checks the response.
///
/// It must not be a server error, and a client error must be a problem.
async fn send(server: &Server, id: &str, raw: RawRequest) {
    let mut url = Url::parse(&format!("{}/v1/specs", server.rest)).unwrap();
    url.set_path(&format!("/v1/specs{}", raw.path.replace("{id}", id)));
    url.set_query(
        Some(&raw.query)
            .filter(|query| !query.is_empty())
            .map(String::as_str),
    );
    let mut request = server
        .client
        .request(Method::from_bytes(raw.method.as_bytes()).unwrap(), url);
    for (name, value) in raw.headers {
        // Values that no client can send are skipped.
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            request = request.header(HeaderName::from_static(name), value);
        }
    }
    let response = request.body(raw.body).send().await.unwrap();
    let status = response.status();
    assert!(status.as_u16() < 500, "{status}");
    if status.is_client_error() {
        problem(response, status).await;
    }
}

#[test]
fn arbitrary_request_never_causes_a_server_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_dir, server) = runtime.block_on(async { Server::fresh() });
    let number = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(cases(400));
    let result = runner.run(&raw_request(), |raw| {
        // Each request gets its own specification, because some requests delete it.
        let name = format!("spec-{}", number.replace(number.get() + 1));
        runtime.block_on(async {
            let id = server.create(&name, "a: 1\n").await;
            send(&server, &id, raw).await;
        });
        Ok(())
    });
    result.unwrap();
    // The server still responds.
    runtime.block_on(server.json("/v1/specs"));
}
