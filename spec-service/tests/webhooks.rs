//! Webhooks of the server process: both APIs, and a process that is killed again and again.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/receiver.rs"]
mod receiver;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::path::Path;

use factum::Timestamp;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use spec_service::grpc::generated as proto;
use spec_service::grpc::generated::webhook_service_client::WebhookServiceClient;
use spec_service::webhooks::delivery::Secret;
use tonic::Code;

use receiver::{Received, Receiver, first_arrivals};
use server::{Server, problem};

/// The number of times that the process is killed, unless the variable `WEBHOOK_KILLS` names another.
const KILLS: u32 = 6;

fn start(dir: &Path) -> Server {
    let settings = [
        ("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("WEBHOOK_RETRY_PAUSE", "0.05"),
    ];
    Server::start_with(dir, &settings)
}

fn check_signature(delivery: &Received, secret: &Secret) {
    let seconds: i64 = delivery.header("webhook-timestamp").parse().unwrap();
    let time = Timestamp::from_micros(seconds * 1_000_000);
    let expected = secret.sign(delivery.header("webhook-id"), time, &delivery.body);
    let mut signatures = delivery.header("webhook-signature").split(' ');
    assert!(signatures.any(|signature| signature == expected));
}

async fn body(response: reqwest::Response, status: StatusCode) -> Value {
    assert_eq!(response.status(), status);
    response.json().await.unwrap()
}

#[tokio::test]
async fn webhook_lives_over_rest() {
    let receiver = Receiver::start().await;
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let settings = json!({
        "url": receiver.url(),
        "description": "The build",
        "events": ["spec.created"],
        "reason": "deploy on publication",
    });
    let created = server.post("/v1/webhooks", &settings).await;
    assert_eq!(created.headers()[header::CACHE_CONTROL], "no-store");
    let location = created.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    let created = body(created, StatusCode::CREATED).await;
    let secret = created["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));

    let shown = server.json(&location).await;
    assert_eq!(shown["status"], "enabled");
    assert_eq!(shown["description"], "The build");
    assert!(!shown.to_string().contains("secret\""));
    let list = server.json("/v1/webhooks").await;
    assert_eq!(list["webhooks"], json!([shown]));

    server.create("card-limits", "limit: 1\n").await;
    let received = receiver.wait_for_count(1).await;
    check_signature(&received[0], &Secret::parse(&secret).unwrap());

    let rotated = server
        .post(&format!("{location}/rotate-secret"), &json!({}))
        .await;
    let rotated = body(rotated, StatusCode::OK).await;
    assert_ne!(rotated["secret"], secret);
    assert!(server.json(&location).await["previous_secret_until"].is_string());

    let deliveries = format!("{location}/deliveries");
    let log = loop {
        let log = server.json(&deliveries).await;
        if log["deliveries"]
            .as_array()
            .is_some_and(|log| !log.is_empty())
        {
            break log;
        }
    };
    assert_eq!(log["deliveries"][0]["outcome"], "delivered");
    assert_eq!(log["deliveries"][0]["status"], 204);
    let replay = server
        .post(&format!("{deliveries}/1/replay"), &json!({}))
        .await;
    assert_eq!(replay.status(), StatusCode::ACCEPTED);
    let received = receiver.wait_for_count(2).await;
    assert_eq!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id")
    );

    let disabled = server
        .post(&format!("{location}/disable"), &json!({"reason": "moved"}))
        .await;
    let disabled = body(disabled, StatusCode::OK).await;
    assert_eq!(
        (&disabled["status"], &disabled["disabled_reason"]),
        (&json!("disabled"), &json!("moved"))
    );
    let again = server
        .post(&format!("{location}/disable"), &json!({"reason": "moved"}))
        .await;
    let again = problem(again, StatusCode::CONFLICT).await;
    assert_eq!(again["code"], "webhook_already_disabled");

    let stale = server
        .request(Method::PUT, &location)
        .header(header::IF_MATCH, "\"1\"");
    let stale = stale.json(&settings).send().await.unwrap();
    assert_eq!(
        problem(stale, StatusCode::PRECONDITION_FAILED).await["code"],
        "revision_mismatch"
    );

    let deleted = server
        .request(Method::DELETE, &location)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let gone = problem(server.get(&location).await, StatusCode::NOT_FOUND).await;
    assert_eq!(gone["code"], "webhook_not_found");
}

#[tokio::test]
async fn invalid_settings_are_refused_over_rest() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    for (settings, code, pointer) in [
        (json!({}), "field_missing", "/url"),
        (json!({"url": "ftp://host/"}), "invalid_url", "/url"),
        (
            json!({"url": "https://host/", "events": ["x"]}),
            "invalid_filter",
            "/events",
        ),
        (
            json!({"url": "https://host/", "namespaces": [""]}),
            "invalid_filter",
            "/namespaces",
        ),
        (
            json!({"url": "https://host/", "color": 1}),
            "invalid_field",
            "/color",
        ),
    ] {
        let refused = server.post("/v1/webhooks", &settings).await;
        let refused = problem(refused, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(refused["code"], code, "{settings}");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{settings}");
    }
}

#[tokio::test]
async fn webhook_lives_over_grpc() {
    let receiver = Receiver::start().await;
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut client = WebhookServiceClient::new(server.channel().await);
    let settings = proto::WebhookSettings {
        url: receiver.url(),
        events: vec!["spec.created".to_owned()],
        ..proto::WebhookSettings::default()
    };
    let create = proto::CreateWebhookRequest {
        settings: Some(settings.clone()),
        reason: None,
    };
    let created = client.create_webhook(create).await.unwrap();
    assert!(created.metadata().contains_key("x-position"));
    let created = created.into_inner();
    let id = created.id.clone();
    server.create("card-limits", "limit: 1\n").await;
    let received = receiver.wait_for_count(1).await;
    check_signature(&received[0], &Secret::parse(&created.secret).unwrap());

    let range = proto::replay_deliveries_request::Events::Range(proto::PositionRange {
        from: received[0].position(),
        to: received[0].position(),
    });
    let replay = proto::ReplayDeliveriesRequest {
        id: id.clone(),
        events: Some(range),
        ..proto::ReplayDeliveriesRequest::default()
    };
    client.replay_deliveries(replay).await.unwrap();
    receiver.wait_for_count(2).await;

    let change = proto::ChangeWebhookRequest {
        id: id.clone(),
        settings: Some(settings),
        expected_revision: Some(1),
        reason: None,
    };
    let stale = client.change_webhook(change).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    let disable = proto::DisableWebhookRequest {
        id: id.clone(),
        reason: "moved".to_owned(),
        expected_revision: None,
    };
    client.disable_webhook(disable).await.unwrap();
    let get = proto::GetWebhookRequest { id: id.clone() };
    let webhook = client
        .get_webhook(get.clone())
        .await
        .unwrap()
        .into_inner()
        .webhook
        .unwrap();
    assert_eq!(webhook.status(), proto::WebhookStatus::Disabled);
    assert_eq!(webhook.disabled_reason.as_deref(), Some("moved"));
    let delete = proto::DeleteWebhookRequest {
        id,
        ..proto::DeleteWebhookRequest::default()
    };
    client.delete_webhook(delete).await.unwrap();
    assert_eq!(
        client.get_webhook(get).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn killed_service_delivers_every_event_in_order() {
    let kills = std::env::var("WEBHOOK_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let receiver = Receiver::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    let created = server
        .post("/v1/webhooks", &json!({"url": receiver.url()}))
        .await;
    let created = body(created, StatusCode::CREATED).await;
    let secret = Secret::parse(created["secret"].as_str().unwrap()).unwrap();
    let mut specs = Vec::new();
    for number in 0..4 {
        specs.push(server.create(&format!("spec-{number}"), "limit: 1\n").await);
    }
    let mut written = specs.len();
    for kill in 0..kills {
        for round in 0..3 {
            for spec in &specs {
                let content = json!({"content": format!("limit: {kill}{round}\n")});
                let update = server.request(Method::PUT, &format!("/v1/specs/{spec}"));
                let updated = update.json(&content).send().await.unwrap();
                assert_eq!(updated.status(), StatusCode::OK);
                written += 1;
            }
        }
        // In the middle of the deliveries.
        server.kill();
        server.wait().await;
        server = start(dir.path());
    }
    let count = |received: &[Received]| {
        first_arrivals(received)
            .values()
            .map(Vec::len)
            .sum::<usize>()
    };
    let received = receiver
        .wait_for(|received| count(received) == written)
        .await;
    for positions in first_arrivals(&received).values() {
        assert!(
            positions.is_sorted(),
            "the events of a specification are in order: {positions:?}"
        );
    }
    let mut ids = std::collections::HashMap::new();
    for delivery in &received {
        check_signature(delivery, &secret);
        let id = delivery.header("webhook-id").to_owned();
        let known = ids.entry(delivery.position()).or_insert_with(|| id.clone());
        assert_eq!(*known, id, "the id of an event is the same each time");
    }
    assert_eq!(ids.len(), written);
}
