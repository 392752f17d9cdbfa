//! The stream of changes, and the health and reflection services.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/messages.rs"]
mod messages;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use spec_service::grpc::generated::WatchSpecsRequest;
use tonic::Code;
use tonic_types::StatusExt as _;

use messages::{new, publish};
use server::Server;

#[tokio::test]
async fn watch_streams_stored_and_new_changes() {
    let (_dir, server) = Server::fresh();
    let mut client = server.grpc().await;
    let first = client
        .create_spec(new("first", "a: 1\n"))
        .await
        .unwrap()
        .into_inner()
        .id;
    client.publish_spec(publish(&first, None)).await.unwrap();
    let watch = |from_position| WatchSpecsRequest { from_position };
    let mut all = client.watch_specs(watch(0)).await.unwrap().into_inner();
    let mut from_two = client.watch_specs(watch(2)).await.unwrap().into_inner();
    let second = client
        .create_spec(new("second", "b: 1\n"))
        .await
        .unwrap()
        .into_inner()
        .id;
    let expected = [
        (1, &first, "spec.created"),
        (2, &first, "spec.published"),
        (3, &second, "spec.created"),
    ];
    for (position, id, event) in expected {
        let change = all.message().await.unwrap().unwrap();
        assert_eq!(
            (
                change.position,
                &change.spec_id,
                change.event.unwrap().event_type.as_str()
            ),
            (position, id, event)
        );
    }
    for position in 2..=3 {
        assert_eq!(
            from_two.message().await.unwrap().unwrap().position,
            position
        );
    }
    // When the service stops, streams end with a status, and the server ends.
    server.terminate();
    let ended = all.message().await.unwrap_err();
    assert_eq!(
        (ended.code(), ended.message()),
        (Code::Unavailable, "the service is stopping")
    );
    drop(from_two);
    assert!(server.wait().await.success());
}

#[tokio::test]
async fn watch_beyond_the_head_is_out_of_range() {
    let (_dir, server) = Server::fresh();
    let mut client = server.grpc().await;
    client.create_spec(new("first", "a: 1\n")).await.unwrap();
    let request = WatchSpecsRequest { from_position: 9 };
    let mut changes = client.watch_specs(request).await.unwrap().into_inner();
    let ended = changes.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::OutOfRange);
    let details = ended.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "POSITION_BEYOND_HEAD");
    // A stream from position 9 continues after position 8.
    assert_eq!(
        ["position", "head"].map(|name| info.metadata[name].as_str()),
        ["8", "1"]
    );
}

#[tokio::test]
async fn health_and_reflection_are_served() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let (_dir, server) = Server::fresh();
    let mut health = HealthClient::new(server.channel().await);
    for service in ["", "spec.v1.SpecService"] {
        let check = HealthCheckRequest {
            service: service.to_owned(),
        };
        let response = health.check(check).await.unwrap().into_inner();
        assert_eq!(response.status(), ServingStatus::Serving, "{service:?}");
    }
    let mut reflection = ServerReflectionClient::new(server.channel().await);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let responses = reflection
        .server_reflection_info(futures_util::stream::iter([list]))
        .await
        .unwrap();
    let response = responses
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::ListServicesResponse(services) = response else {
        panic!("{response:?}")
    };
    let names: Vec<_> = services
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert!(
        names.contains(&"spec.v1.SpecService") && names.contains(&"grpc.health.v1.Health"),
        "{names:?}"
    );
}
