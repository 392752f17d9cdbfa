//! The credentials of a request.

use std::time::{Duration, Instant};

use factum_store_protocol::v1;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_types::StatusExt as _;

use crate::server::{ADMIN, Authorization, PASSWORD, Server, token_entry, user};

fn server() -> Server {
    let password = &*PASSWORD;
    let expired = token_entry("late", ", expires = 2026-01-01T00:00:00Z");
    let users = format!(
        r#"
        {}
        [users.ada]
        roles = ["admin"]
        password = "{password}"
        [users."Zoë Ada"]
        roles = ["admin"]
        password = "{password}"
        [users.gone]
        roles = ["admin"]
        password = "{password}"
        disabled = true
        [users.former]
        roles = ["admin"]
        password = "{password}"
        expires = 2026-01-01T00:00:00Z
        [users.late]
        roles = ["admin"]
        tokens = [{expired}]
        {}"#,
        *ADMIN,
        user("nobody", "")
    );
    Server::start(&users)
}

async fn call(server: &Server, authorization: Authorization) -> Result<(), Status> {
    let mut events = server.events(authorization);
    events.get_head(v1::GetHeadRequest {}).await.map(drop)
}

/// Requires that the request is refused, and returns the message.
async fn refused(server: &Server, authorization: Authorization) -> String {
    let status = call(server, authorization).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (&*info.reason, &*info.domain),
        ("UNAUTHENTICATED", "factum.store")
    );
    status.message().to_owned()
}

#[tokio::test]
async fn users_authenticate_with_a_password_or_a_token() {
    let server = server();
    call(&server, Authorization::token_of("root"))
        .await
        .unwrap();
    call(&server, Authorization::token_of("nobody"))
        .await
        .unwrap();
    call(&server, Authorization::basic("ada", "correct horse"))
        .await
        .unwrap();
    call(&server, Authorization::basic("Zoë Ada", "correct horse"))
        .await
        .unwrap();
}

#[tokio::test]
async fn refusal_does_not_show_whether_the_user_exists() {
    let server = server();
    let basic = Authorization::basic;
    let wrong = refused(&server, basic("ada", "wrong horse")).await;
    for authorization in [
        basic("unknown", "correct horse"),
        basic("Ada", "correct horse"),
        basic("ada ", "correct horse"),
        basic("ada", "correct horse "),
        basic("ada", ""),
        basic("gone", "correct horse"),
        basic("former", "correct horse"),
        basic("root", ""),
        Authorization::token_of("unknown"),
        Authorization::token_of("late"),
        Authorization::header("Bearer correct horse"),
    ] {
        assert_eq!(refused(&server, authorization).await, wrong);
    }
    let missing = refused(&server, Authorization::none()).await;
    assert!(missing.contains("no credentials"), "{missing}");
    for malformed in ["Basic", "Basic !", "Bearer", "Digest x", "x"] {
        let message = refused(&server, Authorization::header(malformed)).await;
        assert!(message.contains("`authorization`"), "{message}");
    }
    let long = Authorization::header(&format!("Bearer {}", "x".repeat(8_000)));
    refused(&server, long).await;
}

/// The header is refused by the connection, and the server continues.
#[tokio::test]
async fn oversize_header_is_refused() {
    let server = server();
    let long = Authorization::header(&format!("Bearer {}", "x".repeat(1_000_000)));
    call(&server, long).await.unwrap_err();
    call(&server, Authorization::token_of("root"))
        .await
        .unwrap();
}

#[tokio::test]
async fn guesses_are_limited_for_a_time() {
    let server = server();
    let right = || Authorization::basic("Zoë Ada", "correct horse");
    call(&server, right()).await.unwrap();
    let guess = |number| Authorization::basic("ada", &format!("guess {number}"));
    let mut refused = None;
    for number in 0..20 {
        let status = call(&server, guess(number)).await.unwrap_err();
        if status.code() == Code::ResourceExhausted {
            refused = Some((number, status));
            break;
        }
    }
    let (number, status) = refused.unwrap();
    assert_eq!(number, 5);
    let retry = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!(
        retry <= Duration::from_secs(10) && !retry.is_zero(),
        "{retry:?}"
    );
    // An unknown user is limited in the same way.
    for number in 0..5 {
        let guess = Authorization::basic("unknown", &format!("guess {number}"));
        let status = call(&server, guess).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let guess = Authorization::basic("unknown", "guess");
    let status = call(&server, guess).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    // Other users and tokens are not.
    call(&server, right()).await.unwrap();
    call(&server, Authorization::token_of("root"))
        .await
        .unwrap();
}

#[tokio::test]
async fn right_passwords_are_never_limited() {
    let server = server();
    let right = Authorization::basic("ada", "correct horse");
    // Concurrent requests share one verification, and later ones remember it.
    let first = (0..64).map(|_| call(&server, right.clone()));
    for called in futures_util::future::join_all(first).await {
        called.unwrap();
    }
    let started = Instant::now();
    for _ in 0..100 {
        call(&server, right.clone()).await.unwrap();
    }
    // A verification each time would take more than a second of a processor.
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn health_is_open_and_reflection_is_for_users() {
    let server = server();
    let mut health = HealthClient::new(server.channel());
    health.check(HealthCheckRequest::default()).await.unwrap();
    let requests = || futures_util::stream::iter([ServerReflectionRequest::default()]);
    let mut anonymous = ServerReflectionClient::new(server.channel());
    let status = anonymous.server_reflection_info(requests()).await;
    assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);
    let nobody = Authorization::token_of("nobody");
    let mut known = ServerReflectionClient::with_interceptor(server.channel(), nobody);
    known.server_reflection_info(requests()).await.unwrap();
}
