//! Calls that a generated client does not make.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/in_process.rs"]
mod in_process;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/messages.rs"]
mod messages;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use spec_service::grpc::generated::{CreateSpecRequest, GetSpecHistoryRequest, GetSpecResponse};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use in_process::{InProcess, StubList};
use messages::{get, new, publish, update};
use server::Server;

#[tokio::test]
async fn malformed_message_is_an_invalid_argument() {
    let server = InProcess::start(StubList::Empty).await;
    let mut grpc = tonic::client::Grpc::new(server.channel.clone());
    grpc.ready().await.expect("the client connects");
    let path = PathAndQuery::from_static("/spec.v1.SpecService/GetSpec");
    // Field 1 is a number here, but a text in the contract.
    let codec = tonic_prost::ProstCodec::<prost_types::Timestamp, GetSpecResponse>::default();
    let message = prost_types::Timestamp {
        seconds: 5,
        nanos: 0,
    };
    let status = grpc.unary(Request::new(message), path, codec).await;
    let status = status.expect_err("the message is malformed");
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    assert_eq!(
        details.error_info().expect("the status has details").reason,
        "MALFORMED"
    );
}

#[tokio::test]
async fn repeated_metadata_is_rejected() {
    let server = InProcess::start(StubList::Empty).await;
    let id = "00000000-0000-0000-0000-000000000001";
    for key in ["x-actor", "x-correlation-id", "idempotency-key"] {
        let mut request = Request::new(publish(id, None));
        for value in ["first", "second"] {
            let value = value.parse().expect("the value is valid metadata");
            request.metadata_mut().append(key, value);
        }
        let status = server.client().publish_spec(request).await;
        let status = status.expect_err("the metadata is repeated");
        assert_eq!(status.code(), Code::InvalidArgument, "{key}");
        assert_eq!(status.message(), format!("{key}: repeated; send it once"));
    }
}

#[tokio::test]
async fn every_change_has_a_reason_and_an_actor() {
    let (_dir, server) = Server::fresh();
    let mut client = server.grpc().await;
    let reason = |text: &str| Some(text.to_owned());
    let new = CreateSpecRequest {
        reason: reason("first"),
        ..new("limits", "a: 1\n")
    };
    let created = client.create_spec(messages::by("ada", new)).await;
    let id = created.expect("the name is free").into_inner().id;
    let mut next = update(&id, "a: 2\n");
    next.reason = reason("more");
    client
        .update_spec(next)
        .await
        .expect("the specification is a draft");
    let mut approved = publish(&id, None);
    approved.reason = reason("approved");
    client
        .publish_spec(approved)
        .await
        .expect("the specification is a draft");
    let history = GetSpecHistoryRequest {
        id: id.clone(),
        ..GetSpecHistoryRequest::default()
    };
    let history = client
        .get_spec_history(history)
        .await
        .expect("the specification exists");
    let events = history.into_inner().events;
    let reasons: Vec<_> = events.iter().map(|event| event.reason.as_deref()).collect();
    assert_eq!(reasons, [Some("first"), Some("more"), Some("approved")]);
    // REST returns the same actor.
    assert_eq!(events[0].actor, "ada");
    assert_eq!(
        server.json(&format!("/v1/specs/{id}")).await["created_by"],
        "ada"
    );
    let spec = client
        .get_spec(get(&id))
        .await
        .expect("the specification exists");
    assert_eq!(spec.into_inner().created_by, "ada");
}
