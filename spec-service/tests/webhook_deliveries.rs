//! The deliveries of webhooks to receivers in the test process.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/receiver.rs"]
mod receiver;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use factum::Timestamp;
use factum::prelude::*;
use factum_memory::MemoryStore;
use futures_util::StreamExt as _;
use spec_service::access::domain::{NamespaceId, TenantId};
use spec_service::content::{Content, DEFAULT_MAX_BYTES};
use spec_service::specs::domain::{
    CreateSpec, PublishSpec, QualifiedName, SpecId, SpecName, UpdateSpec,
};
use spec_service::webhooks::delivery::{
    AddressRules, DeliveryClient, DeliveryEntry, Outcome, RetrySchedule, Secret, SecretKey,
    WebhookDispatcher, read_log,
};
use spec_service::webhooks::domain::{
    CreateWebhook, DeleteWebhook, EnableWebhook, ReplayDeliveries, RotateSecret, TargetUrl,
    WebhookFilter, WebhookId, WebhookSettings, WebhookStatus,
};
use spec_service::webhooks::{WebhookDirectory, WebhookView};
use uuid::Uuid;

use receiver::{Received, Receiver, first_arrivals, status};

const KEY: [u8; 32] = [7; 32];
const TIMEOUT: Duration = Duration::from_millis(500);

const SCHEDULE: RetrySchedule = RetrySchedule {
    first_pause: Duration::from_millis(20),
    retry_time: Duration::from_secs(60),
};

/// A node that delivers to receivers on this machine.
struct Node {
    engine: Engine,
    runtime: Runtime,
    directory: InMemory<WebhookDirectory>,
    dispatcher: WebhookDispatcher,
}

impl Node {
    async fn start(store: &MemoryStore) -> Self {
        Self::start_with(store, &["127.0.0.0/8"], SCHEDULE).await
    }

    async fn start_with(store: &MemoryStore, allowed: &[&str], schedule: RetrySchedule) -> Self {
        let engine = Engine::new(store.clone());
        let directory = InMemory::<WebhookDirectory>::new();
        let runtime = Runtime::builder(&engine).projection(directory.clone());
        let runtime = runtime.start().await.unwrap();
        let allowed = allowed.iter().map(|network| network.parse().unwrap());
        let client = DeliveryClient::new(AddressRules::allowing(allowed.collect()), TIMEOUT);
        let key = SecretKey::new(KEY);
        let dispatcher =
            WebhookDispatcher::start(engine.clone(), directory.clone(), client, key, schedule);
        Self {
            engine,
            runtime,
            directory,
            dispatcher,
        }
    }

    async fn webhook(&self, url: &str, events: &[&str]) -> WebhookId {
        self.webhook_for(url, &[], events).await
    }

    async fn webhook_for(&self, url: &str, namespaces: &[&str], events: &[&str]) -> WebhookId {
        let webhook = WebhookId(Uuid::now_v7());
        let owned = |list: &[&str]| list.iter().map(|&entry| entry.to_owned()).collect();
        let settings = WebhookSettings {
            url: TargetUrl::parse(url).unwrap(),
            description: None,
            filter: WebhookFilter {
                namespaces: owned(namespaces),
                events: owned(events),
            },
        };
        let create = CreateWebhook {
            webhook,
            tenant: TenantId::default(),
            settings,
        };
        self.engine.execute(create).await.unwrap();
        webhook
    }

    async fn create(&self, name: &str) -> SpecId {
        let path = QualifiedName {
            tenant: TenantId::default(),
            namespace: NamespaceId::default(),
            name: SpecName::parse(name).unwrap(),
        };
        self.create_at(path).await
    }

    async fn create_at(&self, path: QualifiedName) -> SpecId {
        let spec = SpecId(Uuid::now_v7());
        let create = CreateSpec {
            spec,
            path,
            author: "ada".to_owned(),
            description: None,
            content: content(),
            reason: None,
        };
        self.engine.execute(create).await.unwrap();
        spec
    }

    async fn update(&self, spec: SpecId) {
        let update = UpdateSpec {
            spec,
            author: "ada".to_owned(),
            content: content(),
            description: None,
            expected_version: None,
            reason: None,
        };
        self.engine.execute(update).await.unwrap();
    }

    /// Waits until the webhook on this node fulfils `condition`.
    async fn wait_for(
        &self,
        id: WebhookId,
        condition: impl Fn(&WebhookView) -> bool,
    ) -> Arc<WebhookView> {
        let mut live = std::pin::pin!(self.directory.live(move |it| it.find(id)));
        loop {
            let (view, _) = live.next().await.unwrap().unwrap();
            match view {
                Some(view) if condition(&view) => return view,
                _ => {}
            }
        }
    }

    /// Waits until the delivery log fulfils `condition`.
    async fn wait_for_log(
        &self,
        id: WebhookId,
        condition: impl Fn(&[DeliveryEntry]) -> bool,
    ) -> Vec<DeliveryEntry> {
        let found = async {
            loop {
                let store = self.engine.store();
                let log = read_log(&**store, id, None, 1_000).await.unwrap();
                if condition(&log) {
                    return log;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found)
            .await
            .expect("the log fulfils the condition")
    }

    async fn stop(self) {
        self.dispatcher.stop().await;
        self.runtime.stop().await;
    }
}

fn content() -> Content {
    Content::parse(b"limit: 250\n", DEFAULT_MAX_BYTES).unwrap()
}

fn secret(webhook: WebhookId, generation: u32) -> Secret {
    SecretKey::new(KEY).secret(webhook, generation)
}

fn expected_signature(delivery: &Received, secret: &Secret) -> String {
    let seconds: i64 = delivery.header("webhook-timestamp").parse().unwrap();
    let time = Timestamp::from_micros(seconds * 1_000_000);
    secret.sign(delivery.header("webhook-id"), time, &delivery.body)
}

#[tokio::test]
async fn events_arrive_as_signed_cloud_events() {
    let receiver = Receiver::start().await;
    let node = Node::start(&MemoryStore::new()).await;
    let before = node.create("before-the-webhook").await;
    let webhook = node
        .webhook(&receiver.url(), &["spec.created", "spec.published"])
        .await;
    node.update(before).await;
    let spec = node.create("card-limits").await;
    node.update(spec).await;
    let publish = PublishSpec {
        spec,
        version: Some(1),
        reason: None,
    };
    node.engine.execute(publish).await.unwrap();
    let received = receiver.wait_for_count(2).await;
    let types: Vec<_> = received
        .iter()
        .map(|it| it.event()["type"].clone())
        .collect();
    assert_eq!(types, ["spec.created", "spec.published"]);
    for delivery in &received {
        let event = delivery.event();
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], "urn:spec-service:default:default");
        assert_eq!(event["id"], delivery.header("webhook-id"));
        assert_eq!(event["subject"], spec.to_string());
        assert_eq!(event["data"]["name"], "card-limits");
        assert_eq!(
            delivery.header("content-type"),
            "application/cloudevents+json; charset=utf-8"
        );
        let expected = expected_signature(delivery, &secret(webhook, 1));
        assert_eq!(delivery.header("webhook-signature"), expected);
    }
    assert_eq!(received[1].event()["data"]["payload"]["version"], 1);
    node.stop().await;
    assert_eq!(receiver.all().len(), 2);
}

#[tokio::test]
async fn events_of_other_tenants_and_namespaces_stay_away() {
    let receiver = Receiver::start().await;
    let node = Node::start(&MemoryStore::new()).await;
    node.webhook_for(&receiver.url(), &["payments"], &[]).await;
    for (tenant, namespace) in [
        ("default", "risk"),
        ("other", "payments"),
        ("default", "payments"),
    ] {
        let path = QualifiedName {
            tenant: tenant.parse().unwrap(),
            namespace: namespace.parse().unwrap(),
            name: SpecName::parse("card-limits").unwrap(),
        };
        node.create_at(path).await;
    }
    let received = receiver.wait_for_count(1).await;
    assert_eq!(
        received[0].event()["source"],
        "urn:spec-service:default:payments"
    );
    node.stop().await;
    assert_eq!(receiver.all().len(), 1);
}

#[tokio::test]
async fn failing_spec_holds_back_no_other_spec() {
    let receiver = Receiver::start().await;
    let node = Node::start(&MemoryStore::new()).await;
    node.webhook(&receiver.url(), &[]).await;
    let (broken, fine) = (node.create("broken").await, node.create("fine").await);
    let is_fixed = Arc::new(AtomicBool::new(false));
    let (id, fixed) = (broken.to_string(), is_fixed.clone());
    receiver.respond(move |delivery| match delivery.spec() == id {
        true if !fixed.load(Ordering::SeqCst) => status(500),
        _ => status(204),
    });
    for _ in 0..5 {
        node.update(broken).await;
        node.update(fine).await;
    }
    let of = |received: &[Received], spec: SpecId| {
        let positions = first_arrivals(received).remove(&spec.to_string());
        positions.unwrap_or_default()
    };
    let received = receiver.wait_for(|it| of(it, fine).len() == 6).await;
    assert!(
        of(&received, broken).len() <= 2,
        "the failed event holds back its spec"
    );
    is_fixed.store(true, Ordering::SeqCst);
    let received = receiver.wait_for(|it| of(it, broken).len() == 6).await;
    assert!(of(&received, broken).is_sorted() && of(&received, fine).is_sorted());
    node.stop().await;
}

#[tokio::test]
async fn forbidden_targets_are_refused() {
    let receiver = Receiver::start().await;
    let port = receiver.address.port();
    let node = Node::start_with(&MemoryStore::new(), &[], SCHEDULE).await;
    let targets = [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        // Forms of 127.0.0.1 that some resolvers accept.
        format!("https://2130706433:{port}/"),
        format!("https://0x7f.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://[fd00:ec2::254]/".to_owned(),
        "https://10.0.0.1/".to_owned(),
    ];
    let mut webhooks = Vec::new();
    for target in &targets {
        webhooks.push(node.webhook(target, &[]).await);
    }
    node.create("card-limits").await;
    for (webhook, target) in webhooks.iter().zip(&targets) {
        let log = node.wait_for_log(*webhook, |log| !log.is_empty()).await;
        let error = log[0].error.as_deref().unwrap_or_default();
        let is_refused = error.starts_with("address not allowed: ")
            || error.starts_with("host cannot be resolved: ");
        assert!(is_refused, "{target}: {error}");
    }
    node.stop().await;
    assert!(receiver.all().is_empty());
}

#[tokio::test]
async fn public_address_without_encryption_is_refused() {
    let node = Node::start_with(&MemoryStore::new(), &[], SCHEDULE).await;
    let webhook = node.webhook("http://1.1.1.1/", &[]).await;
    node.create("card-limits").await;
    let log = node.wait_for_log(webhook, |log| !log.is_empty()).await;
    let expected =
        "delivery without encryption to 1.1.1.1; use https, or see WEBHOOK_ALLOWED_NETWORKS";
    assert_eq!(log[0].error.as_deref(), Some(expected));
    node.stop().await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let receiver = Receiver::start().await;
    let elsewhere = format!("http://{}/elsewhere", receiver.address);
    receiver.respond(move |_| {
        let mut response = status(307);
        let target = elsewhere.parse().unwrap();
        response.headers_mut().insert("location", target);
        response
    });
    let node = Node::start(&MemoryStore::new()).await;
    let webhook = node.webhook(&receiver.url(), &[]).await;
    node.create("card-limits").await;
    let log = node.wait_for_log(webhook, |log| log.len() >= 2).await;
    assert!(log.iter().all(|entry| entry.status == Some(307)));
    assert!(log.iter().all(|entry| entry.outcome == Outcome::Failed));
    node.stop().await;
    assert!(
        receiver
            .all()
            .iter()
            .all(|delivery| delivery.path == "/hook")
    );
}

#[tokio::test]
async fn endless_answer_is_cut_off() {
    let receiver = Receiver::start().await;
    receiver.respond(|_| {
        let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 4_096]));
        Response::new(Body::from_stream(futures_util::stream::iter(chunks)))
    });
    let node = Node::start(&MemoryStore::new()).await;
    let webhook = node.webhook(&receiver.url(), &[]).await;
    node.create("card-limits").await;
    let log = node.wait_for_log(webhook, |log| !log.is_empty()).await;
    assert_eq!(
        (log[0].status, log[0].outcome),
        (Some(200), Outcome::Delivered)
    );
    node.stop().await;
}

#[tokio::test]
async fn silent_receiver_fails_by_timeout() {
    // Connections are accepted by the system, and nobody reads from them.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = Node::start(&MemoryStore::new()).await;
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let webhook = node.webhook(&url, &[]).await;
    node.create("card-limits").await;
    let log = node.wait_for_log(webhook, |log| !log.is_empty()).await;
    assert_eq!(log[0].error.as_deref(), Some("no answer within 0.5 s"));
    node.stop().await;
}

#[tokio::test]
async fn receiver_that_is_gone_disables_its_webhook() {
    let receiver = Receiver::start().await;
    receiver.respond(|_| status(410));
    let node = Node::start(&MemoryStore::new()).await;
    let webhook = node.webhook(&receiver.url(), &[]).await;
    let spec = node.create("card-limits").await;
    let view = node.wait_for(webhook, |view| !view.is_enabled()).await;
    let expected = WebhookStatus::Disabled {
        reason: "the receiver returned status 410".to_owned(),
        automatic: true,
    };
    assert_eq!(view.registration.status, expected);
    assert_eq!(view.updated_by, "spec-service");
    node.update(spec).await;
    receiver.respond(|_| status(204));
    let enable = EnableWebhook {
        webhook,
        tenant: TenantId::default(),
        skip_missed: false,
    };
    node.engine.execute(enable).await.unwrap();
    let is_updated = |it: &[Received]| it.iter().any(|it| it.event()["type"] == "spec.updated");
    let received = receiver.wait_for(is_updated).await;
    let arrivals = &first_arrivals(&received)[&spec.to_string()];
    assert!(arrivals.len() == 2 && arrivals.is_sorted());
    node.stop().await;
}

#[tokio::test]
async fn webhook_that_always_fails_is_disabled() {
    let receiver = Receiver::start().await;
    receiver.respond(|_| status(500));
    let schedule = RetrySchedule {
        first_pause: Duration::from_millis(20),
        retry_time: Duration::from_millis(200),
    };
    let node = Node::start_with(&MemoryStore::new(), &["127.0.0.0/8"], schedule).await;
    let webhook = node.webhook(&receiver.url(), &[]).await;
    node.create("card-limits").await;
    let view = node.wait_for(webhook, |view| !view.is_enabled()).await;
    assert!(matches!(
        &view.registration.status,
        WebhookStatus::Disabled { automatic: true, reason } if reason.ends_with("status 500")
    ));
    receiver.respond(|_| status(204));
    let enable = EnableWebhook {
        webhook,
        tenant: TenantId::default(),
        skip_missed: true,
    };
    node.engine.execute(enable).await.unwrap();
    let later = node.create("later").await.to_string();
    let received = receiver
        .wait_for(|it| it.iter().any(|it| it.spec() == later))
        .await;
    let skipped = received.iter().filter(|it| it.spec() != later);
    assert!(
        skipped.clone().count() >= 2,
        "attempts before the webhook was disabled"
    );
    node.stop().await;
}

#[tokio::test]
async fn event_that_alone_fails_is_given_up() {
    let receiver = Receiver::start().await;
    let schedule = RetrySchedule {
        first_pause: Duration::from_millis(20),
        retry_time: Duration::from_millis(300),
    };
    let node = Node::start_with(&MemoryStore::new(), &["127.0.0.0/8"], schedule).await;
    receiver.respond(
        |delivery| match delivery.event()["data"]["name"] == "poison" {
            true => status(500),
            false => status(204),
        },
    );
    let webhook = node.webhook(&receiver.url(), &[]).await;
    node.create("poison").await;
    receiver.wait_for_count(1).await;
    node.create("fine").await;
    let is_given_up = |log: &[DeliveryEntry]| log.iter().any(|it| it.outcome == Outcome::GivenUp);
    node.wait_for_log(webhook, is_given_up).await;
    let view = node
        .directory
        .read(|directory| directory.find(webhook))
        .unwrap();
    assert!(view.is_enabled());
    node.stop().await;
}

#[tokio::test]
async fn rotated_secret_signs_beside_the_previous_one() {
    let receiver = Receiver::start().await;
    let node = Node::start(&MemoryStore::new()).await;
    let webhook = node.webhook(&receiver.url(), &[]).await;
    for (overlap_seconds, valid) in [(3_600, vec![2, 1]), (0, vec![3])] {
        let rotate = RotateSecret {
            webhook,
            tenant: TenantId::default(),
            overlap_seconds,
        };
        node.engine.execute(rotate).await.unwrap();
        let newest = valid[0];
        node.wait_for(webhook, move |view| view.registration.generation == newest)
            .await;
        let count = receiver.all().len();
        // The worker may still have the previous view for one event.
        let is_current = |delivery: &Received| {
            let expected = expected_signature(delivery, &secret(webhook, newest));
            delivery.header("webhook-signature").starts_with(&expected)
        };
        let spec = node.create(&format!("limits-{newest}")).await;
        receiver.wait_for_count(count + 1).await;
        node.update(spec).await;
        let received = receiver.wait_for_count(count + 2).await;
        let delivery = received.iter().rfind(|it| is_current(it)).unwrap();
        let expected = valid
            .iter()
            .map(|generation| expected_signature(delivery, &secret(webhook, *generation)));
        let expected: Vec<String> = expected.collect();
        let header = delivery.header("webhook-signature");
        assert_eq!(header.split(' ').collect::<Vec<_>>(), expected);
    }
    node.stop().await;
}

#[tokio::test]
async fn replay_delivers_stored_events_with_their_ids() {
    let receiver = Receiver::start().await;
    let node = Node::start(&MemoryStore::new()).await;
    let webhook = node.webhook(&receiver.url(), &[]).await;
    let spec = node.create("card-limits").await;
    node.update(spec).await;
    let first = receiver.wait_for_count(2).await;
    let replay = ReplayDeliveries {
        webhook,
        tenant: TenantId::default(),
        from: first[0].position(),
        to: first[1].position(),
    };
    node.engine.execute(replay).await.unwrap();
    let all = receiver.wait_for_count(4).await;
    let ids = |received: &[Received]| {
        let ids = received.iter().map(|it| it.header("webhook-id").to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&all[2..]), ids(&first));
    let log = node.wait_for_log(webhook, |log| log.len() == 4).await;
    let replays: Vec<bool> = log.iter().map(|entry| entry.replay).collect();
    assert_eq!(replays, [true, true, false, false]);
    node.stop().await;
}

#[tokio::test]
async fn deleted_webhook_receives_nothing_more() {
    let receiver = Receiver::start().await;
    let node = Node::start(&MemoryStore::new()).await;
    let webhook = node.webhook(&receiver.url(), &[]).await;
    let other = Receiver::start().await;
    node.webhook(&other.url(), &[]).await;
    node.create("first").await;
    receiver.wait_for_count(1).await;
    let tenant = TenantId::default();
    node.engine
        .execute(DeleteWebhook { webhook, tenant })
        .await
        .unwrap();
    let is_gone = node
        .directory
        .live(move |directory| directory.find(webhook).is_none());
    let mut is_gone = std::pin::pin!(is_gone);
    while !is_gone.next().await.unwrap().unwrap().0 {}
    node.create("second").await;
    other.wait_for_count(2).await;
    node.stop().await;
    assert_eq!(receiver.all().len(), 1);
}

#[tokio::test]
async fn two_nodes_deliver_each_event_once() {
    let receiver = Receiver::start().await;
    let store = MemoryStore::new();
    let nodes = [Node::start(&store).await, Node::start(&store).await];
    nodes[0].webhook(&receiver.url(), &[]).await;
    let spec = nodes[0].create("card-limits").await;
    for number in 0..40 {
        nodes[number % 2].update(spec).await;
    }
    let received = receiver.wait_for_count(41).await;
    let positions: Vec<u64> = received.iter().map(Received::position).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    let [first, second] = nodes;
    first.stop().await;
    // The other node continues at once.
    second.update(spec).await;
    receiver.wait_for_count(42).await;
    second.stop().await;
    assert_eq!(receiver.all().len(), 42);
}

#[tokio::test]
async fn restarted_nodes_deliver_all_events_in_order() {
    let receiver = Receiver::start().await;
    let store = MemoryStore::new();
    let node = Node::start(&store).await;
    node.webhook(&receiver.url(), &[]).await;
    let mut specs = Vec::new();
    for number in 0..4 {
        specs.push(node.create(&format!("spec-{number}")).await);
    }
    node.stop().await;
    let mut written = 4;
    for round in 0..10 {
        let node = Node::start(&store).await;
        for spec in &specs {
            node.update(*spec).await;
            written += 1;
        }
        receiver.wait_for_count(written - round % 4).await;
        node.stop().await;
    }
    let node = Node::start(&store).await;
    let count = |received: &[Received]| {
        first_arrivals(received)
            .values()
            .map(Vec::len)
            .sum::<usize>()
    };
    let received = receiver.wait_for(|it| written == count(it)).await;
    for positions in first_arrivals(&received).values() {
        assert!(positions.is_sorted(), "{positions:?}");
    }
    node.stop().await;
}
