//! The streams of the gRPC API, and the services beside it.

#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "support/messages.rs"]
mod messages;
#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "support/server.rs"]
mod server;

use spec_service::grpc::generated::WatchSpecsRequest;
use tonic::Code;

use messages::{new, publish};
use server::Server;

#[tokio::test]
async fn changes_are_watched_from_the_first_and_as_they_come() {
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
    let mut later = client.watch_specs(watch(2)).await.unwrap().into_inner();
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
        assert_eq!(later.message().await.unwrap().unwrap().position, position);
    }
    // The service stops: streams end with a reason, and the server with them.
    server.terminate();
    let ended = all.message().await.unwrap_err();
    assert_eq!(
        (ended.code(), ended.message()),
        (Code::Unavailable, "the service is stopping")
    );
    drop(later);
    assert!(server.wait().await.success());
}

#[tokio::test]
async fn health_and_reflection_answer() {
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
        let answer = health.check(check).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let mut reflection = ServerReflectionClient::new(server.channel().await);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = reflection
        .server_reflection_info(futures_util::stream::iter([list]))
        .await
        .unwrap();
    let answer = answers
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else {
        panic!("{answer:?}")
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
