//! The gRPC API of the server process.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/messages.rs"]
mod messages;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use spec_service::grpc::generated::{GetSpecHistoryRequest, ListSpecsRequest, SpecState};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use messages::{by, delete, deprecate, get, new, publish, update};
use server::Server;

#[tokio::test]
async fn published_version_is_served_after_an_update() {
    let (_dir, server) = Server::fresh();
    let mut client = server.grpc().await;
    let created = client
        .create_spec(by("ada", new("limits", "limit: 250\n")))
        .await
        .unwrap();
    let created = created.into_inner();
    assert_eq!((created.version, created.revision), (1, 1));
    let id = created.id;
    let published = client
        .publish_spec(publish(&id, None))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((published.published_version, published.revision), (1, 2));
    let updated = client
        .update_spec(by("bob", update(&id, "limit: 300\n")))
        .await
        .unwrap();
    let updated = updated.into_inner();
    assert_eq!((updated.version, updated.revision), (2, 3));

    let spec = client.get_spec(get(&id)).await.unwrap().into_inner();
    assert_eq!(
        (spec.content.as_str(), spec.version, spec.latest_version),
        ("limit: 250\n", 1, 2)
    );
    assert_eq!(
        (spec.state(), spec.published_version),
        (SpecState::Published, Some(1))
    );
    assert_eq!(
        (spec.created_by.as_str(), spec.updated_by.as_str()),
        ("ada", "anonymous")
    );
    assert!(spec.created_at.unwrap().seconds > 1_700_000_000);
    let mut second = get(&id);
    second.version = Some(2);
    assert_eq!(
        client.get_spec(second).await.unwrap().into_inner().content,
        "limit: 300\n"
    );
    let list = client
        .list_specs(ListSpecsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            list.total,
            list.specs[0].id.as_str(),
            list.next_page_token.as_str()
        ),
        (Some(1), id.as_str(), "")
    );
}

#[tokio::test]
async fn deleted_spec_keeps_its_content_and_history() {
    let (_dir, server) = Server::fresh();
    let mut client = server.grpc().await;
    let created = client
        .create_spec(by("ada", new("limits", "limit: 250\n")))
        .await;
    let id = created.unwrap().into_inner().id;
    client.publish_spec(publish(&id, None)).await.unwrap();
    let deprecated = client.deprecate_spec(deprecate(&id, "see v3")).await;
    assert!(deprecated.unwrap().into_inner().success);
    let deleted = client.delete_spec(by("eve", delete(&id))).await;
    assert!(deleted.unwrap().into_inner().success);
    let deleted = client.get_spec(get(&id)).await.unwrap().into_inner();
    assert_eq!(
        (deleted.state(), deleted.updated_by.as_str()),
        (SpecState::Deleted, "eve")
    );

    let history = GetSpecHistoryRequest {
        id,
        ..GetSpecHistoryRequest::default()
    };
    let history = client
        .get_spec_history(history)
        .await
        .unwrap()
        .into_inner()
        .events;
    let events: Vec<_> = history
        .iter()
        .map(|event| {
            (
                event.event_type.as_str(),
                event.actor.as_str(),
                event.reason.as_deref(),
            )
        })
        .collect();
    let expected = [
        ("spec.created", "ada", None),
        ("spec.published", "anonymous", None),
        ("spec.deprecated", "anonymous", Some("see v3")),
        ("spec.deleted", "eve", Some("gone")),
    ];
    assert_eq!(events, expected);
    assert_eq!(
        (
            history[1].payload.as_str(),
            history[1].version,
            history[1].position
        ),
        (r#"{"version":1}"#, 2, 2)
    );
}

/// Returns the code, the reason and the field of a rejection.
fn rejection<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String, Option<String>) {
    let status = result.unwrap_err();
    let details = status.get_error_details();
    let reason = details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default();
    let field = details
        .bad_request()
        .map(|bad| bad.field_violations[0].field.clone());
    (status.code(), reason, field)
}

fn expected(code: Code, reason: &str, field: Option<&str>) -> (Code, String, Option<String>) {
    (code, reason.to_owned(), field.map(str::to_owned))
}

#[tokio::test]
async fn list_waits_for_the_requested_position() {
    let (_dir, server) = Server::fresh();
    let mut client = server.grpc().await;
    let created = client.create_spec(by("ada", new("limits", "limit: 250\n")));
    let created = created.await.unwrap();
    let position = created.metadata().get("x-position").unwrap().clone();
    assert_eq!(position, "1");
    let id = created.into_inner().id;
    let deleted = client.delete_spec(delete(&id)).await.unwrap();
    assert_eq!(deleted.metadata().get("x-position").unwrap(), "2");
    let list_at = |position| {
        let mut list = Request::new(ListSpecsRequest::default());
        list.metadata_mut().insert("x-position", position);
        list
    };
    let listed = client.list_specs(list_at(position)).await.unwrap();
    assert_eq!(listed.into_inner().total, Some(0));
    let malformed = client.list_specs(list_at("one".parse().unwrap())).await;
    assert_eq!(malformed.unwrap_err().code(), Code::InvalidArgument);
    let beyond = client.list_specs(list_at("7".parse().unwrap())).await;
    let expected = expected(Code::OutOfRange, "POSITION_BEYOND_HEAD", None);
    assert_eq!(rejection(beyond), expected);
}

#[tokio::test]
async fn invalid_field_is_named_in_the_details() {
    let (_dir, server) = Server::fresh();
    let mut client = server.grpc().await;
    let invalid = |reason, field| expected(Code::InvalidArgument, reason, Some(field));
    let rejected = rejection(client.create_spec(new("no spaces", "a: 1\n")).await);
    assert_eq!(rejected, invalid("INVALID_NAME", "name"));
    let duplicate = client
        .create_spec(new("dup", "a: 1\na: 2\n"))
        .await
        .unwrap_err();
    let details = duplicate.get_error_details();
    let facts = &details.error_info().unwrap().metadata;
    assert_eq!(
        ["line", "column", "document"].map(|name| facts[name].as_str()),
        ["2", "1", "1"]
    );
    assert_eq!(
        rejection::<()>(Err(duplicate)),
        invalid("YAML_DUPLICATE_KEY", "content")
    );
    assert_eq!(
        rejection(client.get_spec(get("seven")).await),
        invalid("MALFORMED", "id")
    );
    let mut list = ListSpecsRequest {
        page_size: 101,
        ..ListSpecsRequest::default()
    };
    assert_eq!(
        rejection(client.list_specs(list.clone()).await),
        invalid("INVALID_LIMIT", "page_size")
    );
    (list.page_size, list.page_token) = (0, "?".to_owned());
    assert_eq!(
        rejection(client.list_specs(list.clone()).await),
        invalid("INVALID_CURSOR", "page_token")
    );
    list.state = Some(99);
    assert_eq!(
        rejection(client.list_specs(list).await),
        invalid("MALFORMED", "state")
    );
    let oversize = client
        .create_spec(new("large", &"x".repeat(1 << 20)))
        .await
        .unwrap_err();
    assert_eq!(oversize.code(), Code::OutOfRange);
}

#[tokio::test]
async fn rejection_has_the_documented_code() {
    let (_dir, server) = Server::fresh();
    let mut client = server.grpc().await;
    let id = client
        .create_spec(new("taken", "a: 1\n"))
        .await
        .unwrap()
        .into_inner()
        .id;
    let missing = uuid::Uuid::now_v7().to_string();
    let rejected = rejection(client.create_spec(new("taken", "a: 1\n")).await);
    assert_eq!(rejected, expected(Code::AlreadyExists, "NAME_TAKEN", None));
    let rejected = rejection(client.get_spec(get(&missing)).await);
    assert_eq!(rejected, expected(Code::NotFound, "NOT_FOUND", None));
    let rejected = rejection(client.publish_spec(publish(&id, Some(2))).await);
    assert_eq!(rejected, expected(Code::NotFound, "NO_SUCH_VERSION", None));
    let rejected = rejection(client.deprecate_spec(deprecate(&id, "r")).await);
    assert_eq!(
        rejected,
        expected(Code::FailedPrecondition, "ILLEGAL_TRANSITION", None)
    );
    client.publish_spec(publish(&id, None)).await.unwrap();
    let rejected = rejection(client.publish_spec(publish(&id, None)).await);
    assert_eq!(
        rejected,
        expected(Code::FailedPrecondition, "ALREADY_PUBLISHED", None)
    );
    let rejected = rejection(client.deprecate_spec(deprecate(&id, " ")).await);
    assert_eq!(
        rejected,
        expected(Code::InvalidArgument, "REASON_MISSING", Some("reason"))
    );
    let mut stale = update(&id, "a: 2\n");
    stale.expected_version = Some(7);
    let rejected = rejection(client.update_spec(stale.clone()).await);
    assert_eq!(rejected, expected(Code::Aborted, "VERSION_MISMATCH", None));
    (stale.expected_version, stale.expected_revision) = (None, Some(1));
    let status = client.update_spec(stale).await.unwrap_err();
    let details = status.get_error_details();
    let facts = &details.error_info().unwrap().metadata;
    let code_and_facts = (
        status.code(),
        facts["expected"].as_str(),
        facts["actual"].as_str(),
    );
    assert_eq!(code_and_facts, (Code::Aborted, "1", "2"));
    client.delete_spec(delete(&id)).await.unwrap();
    let rejected = rejection(client.update_spec(update(&id, "a: 2\n")).await);
    assert_eq!(
        rejected,
        expected(Code::FailedPrecondition, "DELETED", None)
    );
}

#[tokio::test]
async fn repeated_call_returns_the_first_result() {
    let (_dir, server) = Server::fresh();
    let mut client = server.grpc().await;
    let with_key = |name: &str| {
        let mut request = Request::new(new(name, "a: 1\n"));
        request
            .metadata_mut()
            .insert("idempotency-key", "req-7".parse().unwrap());
        request
    };
    let first = client
        .create_spec(with_key("once"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        client
            .create_spec(with_key("once"))
            .await
            .unwrap()
            .into_inner(),
        first
    );
    let reused = client.create_spec(with_key("other")).await;
    let message = reused.as_ref().unwrap_err().message().to_owned();
    assert_eq!(
        message,
        "idempotency key already used for another request: \"req-7\"; use a new key"
    );
    assert_eq!(
        rejection(reused),
        expected(Code::InvalidArgument, "IDEMPOTENCY_KEY_REUSED", None)
    );
}
