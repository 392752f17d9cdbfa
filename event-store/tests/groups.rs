//! Consumer groups on a server process, with consumers and servers that are killed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/group_client.rs"]
mod group_client;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum_store_protocol::v1;
use factum_store_protocol::v1::StopReason;
use factum_store_protocol::v1::consume_request::Message as Request;
use factum_store_protocol::v1::consume_request::{Action, Credit, Heartbeat, Start};
use factum_store_protocol::v1::consume_response::Message;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_tests::own_server::OwnServer;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use group_client::{Consumer, Groups, Record, duration, position, start, work};
use server::{LIMIT, Server, any, append, get};

/// The duration of each test with random kills; `FACTUM_GROUP_SECONDS` sets a longer one.
fn chaos_time() -> Duration {
    let seconds = std::env::var("FACTUM_GROUP_SECONDS").ok();
    Duration::from_secs(seconds.map_or(8, |text| text.parse().unwrap()))
}

async fn groups(server: &Server) -> Groups {
    Groups::connect(server.url.clone()).await.unwrap()
}

async fn create(groups: &mut Groups, name: &str, settings: v1::GroupSettings) {
    let request = v1::CreateGroupRequest {
        name: name.to_owned(),
        settings: Some(settings),
    };
    groups.create_group(request).await.unwrap();
}

async fn describe(groups: &mut Groups, name: &str) -> v1::Group {
    let request = v1::DescribeGroupRequest {
        name: name.to_owned(),
    };
    let described = groups.describe_group(request).await.unwrap();
    described.into_inner().group.unwrap()
}

async fn dead_letters(groups: &mut Groups, name: &str) -> Vec<v1::GroupDeadLetter> {
    let (mut letters, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListDeadLettersRequest {
            group: name.to_owned(),
            page_size: 3,
            page_token,
        };
        let page = groups
            .list_dead_letters(request)
            .await
            .unwrap()
            .into_inner();
        letters.extend(page.dead_letters);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return letters;
        }
    }
}

async fn store(events: &mut EventStoreServiceClient<Channel>, stream: &str, data: &str) -> u64 {
    let appended = events.append(append(stream, any(), data)).await;
    appended.unwrap().into_inner().position
}

fn one_partition() -> v1::GroupSettings {
    v1::GroupSettings {
        partitions: 1,
        min_backoff: duration(10),
        max_backoff: duration(20),
        ..v1::GroupSettings::default()
    }
}

/// A server on the file in `dir`, with `count` events in one stream and a group.
async fn with_group(dir: &Path, count: u64, settings: v1::GroupSettings) -> (Server, Groups) {
    let server = Server::start(dir);
    let mut events = server.client().await;
    for number in 0..count {
        store(&mut events, "hive-1", &number.to_string()).await;
    }
    let mut groups = groups(&server).await;
    create(&mut groups, "mail", settings).await;
    (server, groups)
}

/// Stores `count` events in 30 streams. Some of them are poison: the consumers reject them.
async fn fill(events: &mut EventStoreServiceClient<Channel>, record: &Mutex<Record>, count: u64) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut versions = [0; 30];
    for _ in 0..count {
        let stream = random.usize(0..versions.len());
        versions[stream] += 1;
        let is_poison = random.u8(0..50) == 0;
        let name = format!("hive-{stream}");
        let data = if is_poison { "poison" } else { "honey" };
        let position = store(events, &name, data).await;
        let event = (name, versions[stream], is_poison);
        record.lock().unwrap().events.insert(position, event);
    }
}

fn chaos_settings() -> v1::GroupSettings {
    v1::GroupSettings {
        ack_timeout: duration(5_000),
        max_attempts: 3,
        min_backoff: duration(10),
        max_backoff: duration(50),
        max_in_flight: 10,
        ..v1::GroupSettings::default()
    }
}

/// Waits until the group has settled all events, and compares it with the record of its consumers.
async fn check_record(groups: &mut Groups, record: &Mutex<Record>) {
    let head = *record.lock().unwrap().events.keys().last().unwrap();
    let deadline = Instant::now() + LIMIT;
    loop {
        let group = describe(groups, "mail").await;
        if group.position == head {
            break;
        }
        assert!(Instant::now() < deadline, "not settled: {group:?}");
        sleep(Duration::from_millis(50)).await;
    }
    let letters = dead_letters(groups, "mail").await;
    let letters: Vec<u64> = letters.into_iter().map(|letter| letter.position).collect();
    let record = record.lock().unwrap();
    assert_eq!(record.violations, Vec::<String>::new(), "order per key");
    let poison = record.events.iter().filter(|(_, event)| event.2);
    let poison: Vec<u64> = poison.map(|(position, _)| *position).collect();
    assert_eq!(letters, poison, "the dead letters are the poison events");
    let events = record.events.values().filter(|event| !event.2);
    for (stream, version, _) in events {
        let event = (stream.clone(), *version);
        assert!(
            record.processed.contains(&event),
            "{event:?} was not processed"
        );
    }
    let twice: Vec<_> = record
        .confirmed
        .iter()
        .filter(|(_, count)| **count > 1)
        .collect();
    assert!(twice.is_empty(), "confirmed twice: {twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn group_survives_killed_consumers_and_servers() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let record = Arc::new(Mutex::new(Record::default()));
    let count = chaos_time().as_secs() * 150;
    fill(&mut server.client().await, &record, count).await;
    create(&mut groups(&server).await, "mail", chaos_settings()).await;
    let url = Arc::new(Mutex::new(server.url.clone()));
    let consumer = || tokio::spawn(work(url.clone(), "mail".to_owned(), record.clone()));
    let mut consumers: Vec<_> = (0..8).map(|_| consumer()).collect();
    let mut random = fastrand::Rng::with_seed(11);
    let end = Instant::now() + chaos_time();
    let mut next_server_kill = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        sleep(Duration::from_millis(random.u64(50..300))).await;
        let killed = random.usize(0..consumers.len());
        consumers[killed].abort();
        consumers[killed] = consumer();
        if Instant::now() >= next_server_kill {
            // The old process is killed before the new one starts.
            drop(server);
            server = Server::start(dir.path());
            url.lock().unwrap().clone_from(&server.url);
            next_server_kill = Instant::now() + Duration::from_secs(2);
        }
    }
    check_record(&mut groups(&server).await, &record).await;
    for consumer in consumers {
        consumer.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_a_group_on_postgres() {
    let Some(database) = OwnServer::start(&[]) else {
        return;
    };
    let url = database.url();
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", &*url), ("GROUP_LEASE", "2")];
    let mut servers = [(); 2].map(|()| Server::start_with(dir.path(), &settings));
    let record = Arc::new(Mutex::new(Record::default()));
    let count = chaos_time().as_secs() * 100;
    fill(&mut servers[0].client().await, &record, count).await;
    create(&mut groups(&servers[0]).await, "mail", chaos_settings()).await;
    let urls = [0, 1].map(|at: usize| Arc::new(Mutex::new(servers[at].url.clone())));
    let consumers = (0..8).map(|at| {
        tokio::spawn(work(
            urls[at % 2].clone(),
            "mail".to_owned(),
            record.clone(),
        ))
    });
    let consumers: Vec<_> = consumers.collect();
    // Both servers hold partitions.
    let deadline = Instant::now() + LIMIT;
    let mut client = groups(&servers[0]).await;
    loop {
        let group = describe(&mut client, "mail").await;
        let mut nodes: Vec<_> = group.partitions.iter().map(|it| it.node.clone()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.iter().filter(|node| !node.is_empty()).count() == 2 {
            break;
        }
        assert!(Instant::now() < deadline, "one server holds all partitions");
        sleep(Duration::from_millis(50)).await;
    }
    // One server is killed, and one is stopped for longer than its lease.
    servers[1] = Server::start_with(dir.path(), &settings);
    urls[1].lock().unwrap().clone_from(&servers[1].url);
    sleep(Duration::from_secs(2)).await;
    servers[1].signal("-STOP");
    sleep(Duration::from_secs(4)).await;
    servers[1].signal("-CONT");
    check_record(&mut client, &record).await;
    for consumer in consumers {
        consumer.abort();
    }
}

#[tokio::test]
async fn dead_letters_are_listed_retried_and_discarded() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, mut groups) = with_group(dir.path(), 6, one_partition()).await;
    let mut consumer = Consumer::join(&mut groups, start("mail", 100))
        .await
        .unwrap();
    for number in 1..=6 {
        let delivery = consumer.delivery().await;
        assert_eq!((position(&delivery), delivery.attempt), (number, 1));
        match number {
            1..=5 => consumer.nack(&delivery, Action::DeadLetter).await,
            _ => consumer.ack(&delivery).await,
        }
    }
    consumer.settled(&[1, 2, 3, 4, 5, 6]).await;
    let letters = dead_letters(&mut groups, "mail").await;
    let positions: Vec<u64> = letters.iter().map(|letter| letter.position).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5]);
    assert_eq!(letters[0].reason, "the test says so");
    assert_eq!(
        (
            letters[0].attempts,
            letters[0].event.as_ref().unwrap().version
        ),
        (1, 1)
    );
    let request = v1::DiscardDeadLettersRequest {
        group: "mail".to_owned(),
        positions: vec![2, 99],
    };
    let discarded = groups.discard_dead_letters(request).await.unwrap();
    assert_eq!(discarded.into_inner().discarded, 1);
    let request = v1::RetryDeadLettersRequest {
        group: "mail".to_owned(),
        positions: vec![4, 1],
    };
    let retried = groups.retry_dead_letters(request.clone()).await.unwrap();
    assert_eq!(retried.into_inner().retried, 2);
    let retried = groups.retry_dead_letters(request).await.unwrap();
    assert_eq!(retried.into_inner().retried, 0);
    for number in [1, 4] {
        let delivery = consumer.delivery().await;
        assert_eq!((position(&delivery), delivery.attempt), (number, 1));
        consumer.ack(&delivery).await;
    }
    consumer.settled(&[1, 4]).await;
    let group = describe(&mut groups, "mail").await;
    assert_eq!((group.position, group.dead_letters, group.lag), (6, 2, 0));
    let retry_all = v1::RetryDeadLettersRequest {
        group: "mail".to_owned(),
        positions: Vec::new(),
    };
    let retried = groups.retry_dead_letters(retry_all).await.unwrap();
    assert_eq!(retried.into_inner().retried, 2);
    // A retried event that fails again is a dead letter again.
    let delivery = consumer.delivery().await;
    consumer.nack(&delivery, Action::DeadLetter).await;
    let delivery = consumer.delivery().await;
    consumer.nack(&delivery, Action::Skip).await;
    consumer.settled(&[3, 5]).await;
    let letters = dead_letters(&mut groups, "mail").await;
    assert_eq!(
        letters
            .iter()
            .map(|letter| letter.position)
            .collect::<Vec<_>>(),
        [3]
    );
}

#[tokio::test]
async fn unanswered_event_is_delivered_again_then_dead() {
    let dir = tempfile::tempdir().unwrap();
    let settings = v1::GroupSettings {
        ack_timeout: duration(200),
        max_attempts: 2,
        ..one_partition()
    };
    let (_server, mut groups) = with_group(dir.path(), 2, settings).await;
    let mut consumer = Consumer::join(&mut groups, start("mail", 100))
        .await
        .unwrap();
    let first = consumer.delivery().await;
    assert_eq!((position(&first), first.attempt), (1, 1));
    let again = consumer.delivery().await;
    assert_eq!((position(&again), again.attempt), (1, 2));
    let next = consumer.delivery().await;
    assert_eq!((position(&next), next.attempt), (2, 1));
    // Its first answer is too late, because the event is a dead letter.
    consumer.ack(&first).await;
    consumer.ack(&next).await;
    loop {
        if let Some(Message::NotSettled(lost)) = consumer.next().await {
            assert_eq!(lost.positions, [1]);
            break;
        }
    }
    consumer.settled(&[2]).await;
    let letters = dead_letters(&mut groups, "mail").await;
    assert_eq!((letters.len(), letters[0].attempts), (1, 2));
    assert_eq!(letters[0].reason, "the consumer did not answer in time");
}

#[tokio::test]
async fn attempts_survive_a_killed_server() {
    let dir = tempfile::tempdir().unwrap();
    let settings = v1::GroupSettings {
        max_backoff: duration(60_000),
        min_backoff: duration(10),
        ..one_partition()
    };
    let (server, mut groups_of) = with_group(dir.path(), 1, settings).await;
    let mut consumer = Consumer::join(&mut groups_of, start("mail", 100))
        .await
        .unwrap();
    for attempt in 1..=2 {
        let delivery = consumer.delivery().await;
        assert_eq!(delivery.attempt, attempt);
        if attempt == 1 {
            consumer.nack(&delivery, Action::Retry).await;
        }
    }
    // The failed attempt is stored; the delivery in flight is none.
    sleep(Duration::from_millis(200)).await;
    drop(server);
    let server = Server::start(dir.path());
    let mut groups_of = groups(&server).await;
    let mut consumer = Consumer::join(&mut groups_of, start("mail", 100))
        .await
        .unwrap();
    let delivery = consumer.delivery().await;
    assert_eq!((position(&delivery), delivery.attempt), (1, 2));
    consumer.ack(&delivery).await;
    consumer.settled(&[1]).await;
    // Settled events stay settled after another kill.
    drop(server);
    let server = Server::start(dir.path());
    store(&mut server.client().await, "hive-1", "2").await;
    let mut groups_of = groups(&server).await;
    let mut consumer = Consumer::join(&mut groups_of, start("mail", 100))
        .await
        .unwrap();
    assert_eq!(position(&consumer.delivery().await), 2);
}

#[tokio::test]
async fn stop_answer_stops_the_group_until_it_is_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, mut groups) = with_group(dir.path(), 2, one_partition()).await;
    let mut stopping = Consumer::join(&mut groups, start("mail", 100))
        .await
        .unwrap();
    let mut other = Consumer::join(&mut groups, start("mail", 100))
        .await
        .unwrap();
    let first = stopping.delivery().await;
    stopping.ack(&first).await;
    let second = stopping.delivery().await;
    let deadline = Instant::now() + LIMIT;
    while describe(&mut groups, "mail").await.position < 1 {
        assert!(Instant::now() < deadline, "not settled");
    }
    stopping.nack(&second, Action::Stop).await;
    for consumer in [&mut stopping, &mut other] {
        let stopped = consumer.stopped().await;
        assert_eq!(stopped.reason(), StopReason::ConsumerRequest);
        assert_eq!(stopped.position, 1);
        assert!(stopped.message.contains("the test says so"), "{stopped:?}");
    }
    let status = Consumer::join(&mut groups, start("mail", 100)).await;
    let status = status.err().unwrap();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "GROUP_STOPPED");
    let described = describe(&mut groups, "mail").await;
    assert_eq!(described.stopped.unwrap().position, 1);
    let resume = v1::ResumeGroupRequest {
        name: "mail".to_owned(),
    };
    groups.resume_group(resume).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, start("mail", 100))
        .await
        .unwrap();
    let delivery = consumer.delivery().await;
    assert_eq!((position(&delivery), delivery.attempt), (2, 1));
}

#[tokio::test]
async fn reset_delivers_again_and_delete_stops_the_consumers() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, mut groups) = with_group(dir.path(), 3, one_partition()).await;
    let mut consumer = Consumer::join(&mut groups, start("mail", 100))
        .await
        .unwrap();
    let mut stale = None;
    for _ in 0..3 {
        let delivery = consumer.delivery().await;
        match position(&delivery) {
            2 => consumer.nack(&delivery, Action::DeadLetter).await,
            3 => stale = Some(delivery),
            _ => consumer.ack(&delivery).await,
        }
    }
    let reset = v1::ResetGroupRequest {
        name: "mail".to_owned(),
        after: 1,
    };
    let group = groups
        .reset_group(reset)
        .await
        .unwrap()
        .into_inner()
        .group
        .unwrap();
    assert_eq!((group.position, group.dead_letters), (1, 0));
    let second = consumer.delivery().await;
    assert_eq!((position(&second), second.attempt), (2, 1));
    // The answer to a delivery before the reset does not count.
    consumer.ack(&stale.unwrap()).await;
    loop {
        if let Some(Message::NotSettled(lost)) = consumer.next().await {
            assert_eq!(lost.positions, [3]);
            break;
        }
    }
    consumer.ack(&second).await;
    let third = consumer.delivery().await;
    consumer.ack(&third).await;
    consumer.settled(&[2, 3]).await;
    let delete = v1::DeleteGroupRequest {
        name: "mail".to_owned(),
    };
    groups.delete_group(delete.clone()).await.unwrap();
    let stopped = consumer.stopped().await;
    assert_eq!(
        (stopped.reason(), stopped.position),
        (StopReason::GroupDeleted, 3)
    );
    let status = groups.delete_group(delete).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn position_beyond_the_head_stops_the_group() {
    let dir = tempfile::tempdir().unwrap();
    let (server, mut groups) = with_group(dir.path(), 2, one_partition()).await;
    let mut state = v1::state_service_client::StateServiceClient::connect(server.url.clone())
        .await
        .unwrap();
    // The log was restored from a backup, and the documents are newer.
    let put = r#"{"position":9,"dead_letters":0,"fence":1,"writes":1,"holder":null}"#;
    let change = v1::DocumentChange {
        key: "$group/partition/mail/00000".to_owned(),
        expected_revision: None,
        effect: Some(v1::document_change::Effect::Put(put.to_owned())),
    };
    let changes = vec![change];
    let request = v1::ChangeDocumentsRequest { changes };
    state.change_documents(request).await.unwrap();
    let message = match Consumer::join(&mut groups, start("mail", 100)).await {
        Ok(mut consumer) => {
            let stopped = consumer.stopped().await;
            assert_eq!(stopped.reason(), StopReason::BeyondHead);
            assert_eq!(stopped.position, 9);
            stopped.message
        }
        // The group can stop before the consumer has joined.
        Err(status) => {
            assert_eq!(status.code(), Code::FailedPrecondition);
            status.message().to_owned()
        }
    };
    assert!(
        message.contains("beyond the head of the log: 2"),
        "{message}"
    );
    let reset = v1::ResetGroupRequest {
        name: "mail".to_owned(),
        after: 1,
    };
    groups.reset_group(reset).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, start("mail", 100))
        .await
        .unwrap();
    assert_eq!(position(&consumer.delivery().await), 2);
}

#[tokio::test]
async fn consumer_is_never_left_without_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let (server, mut groups) = with_group(dir.path(), 1, one_partition()).await;
    let mut consumer = Consumer::join(&mut groups, start("mail", 0)).await.unwrap();
    let with_heartbeat = Start {
        heartbeat: duration(200),
        ..start("mail", 0)
    };
    let mut standby = Consumer::join(&mut groups, with_heartbeat).await.unwrap();
    for _ in 0..5 {
        let message = timeout(Duration::from_secs(1), standby.next())
            .await
            .unwrap();
        let Some(Message::Checkpoint(checkpoint)) = message else {
            panic!("{message:?}");
        };
        assert!(
            checkpoint.head <= 1 && checkpoint.position == 0,
            "{checkpoint:?}"
        );
    }
    // The first message, the assignment, and then the heartbeat of five seconds.
    let mut silence = Instant::now();
    let mut checkpoints = 0;
    while checkpoints < 2 {
        let message = timeout(Duration::from_secs(6), consumer.next()).await;
        let message = message.expect("a message in five seconds");
        assert!(silence.elapsed() < Duration::from_millis(5_500));
        silence = Instant::now();
        checkpoints += u32::from(matches!(message, Some(Message::Checkpoint(_))));
    }
    server.signal("-TERM");
    for consumer in [&mut consumer, &mut standby] {
        assert_eq!(
            consumer.stopped().await.reason(),
            StopReason::ServerStopping
        );
    }
    assert!(server.wait().await.success());
}

#[tokio::test]
async fn consumer_without_credit_gets_no_events() {
    let dir = tempfile::tempdir().unwrap();
    let settings = v1::GroupSettings {
        partition_key: v1::PartitionKey::None.into(),
        max_in_flight: 3,
        ..one_partition()
    };
    let (_server, mut groups) = with_group(dir.path(), 10, settings).await;
    let mut consumer = Consumer::join(&mut groups, start("mail", 2)).await.unwrap();
    let first = [consumer.delivery().await, consumer.delivery().await];
    let none = async |consumer: &mut Consumer| {
        let quiet = timeout(Duration::from_millis(300), consumer.delivery()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    };
    none(&mut consumer).await;
    consumer.send(Request::Credit(Credit { events: 5 })).await;
    // Two deliveries are unanswered, and three are the limit.
    let third = consumer.delivery().await;
    none(&mut consumer).await;
    for delivery in first.iter().chain([&third]) {
        consumer.ack(delivery).await;
    }
    for _ in 0..3 {
        consumer.delivery().await;
    }
}

#[tokio::test]
async fn consumer_that_does_not_read_stops_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut events = server.client().await;
    let large = "x".repeat(200_000);
    for number in 0..100 {
        store(&mut events, &format!("hive-{number}"), &large).await;
    }
    let mut groups = groups(&server).await;
    let settings = v1::GroupSettings {
        ack_timeout: duration(500),
        max_attempts: 1_000,
        ..v1::GroupSettings::default()
    };
    create(&mut groups, "mail", settings).await;
    let silent = Start {
        session_timeout: duration(1_000),
        ..start("mail", 1_000_000)
    };
    // It reads nothing and sends nothing.
    let mut slow = Consumer::join(&mut groups, silent).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    let mut other = Consumer::join(&mut groups, start("mail", 1_000))
        .await
        .unwrap();
    for _ in 0..100 {
        let delivery = other.delivery().await;
        other.ack(&delivery).await;
    }
    let stopped = slow.stopped().await;
    assert_eq!(stopped.reason(), StopReason::ConsumerSilent, "{stopped:?}");
}

/// A consumer that runs in a process of its own: the test below starts and stops it.
#[tokio::test]
#[ignore = "a process that another test starts"]
async fn consumer_process() {
    let Ok(url) = std::env::var("FACTUM_GROUP_URL") else {
        return;
    };
    let record = Arc::new(Mutex::new(Record::default()));
    work(Arc::new(Mutex::new(url)), "mail".to_owned(), record).await;
}

#[tokio::test]
async fn stopped_consumer_process_loses_its_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let settings = v1::GroupSettings {
        ack_timeout: duration(60_000),
        ..v1::GroupSettings::default()
    };
    let (server, mut groups) = with_group(dir.path(), 0, settings).await;
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "consumer_process"])
        .env("FACTUM_GROUP_URL", &server.url)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let signal = |signal: &str| {
        let id = process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    };
    let deadline = Instant::now() + LIMIT;
    while describe(&mut groups, "mail").await.consumers.is_empty() {
        assert!(Instant::now() < deadline, "the consumer did not join");
        sleep(Duration::from_millis(50)).await;
    }
    signal("-STOP");
    let mut events = server.client().await;
    for number in 0..50 {
        store(&mut events, &format!("hive-{number}"), "honey").await;
    }
    let own = Start {
        session_timeout: duration(60_000),
        ..start("mail", 1_000)
    };
    let mut consumer = Consumer::join(&mut groups, own).await.unwrap();
    // It gets a share of the partitions soon, and all of them after the session of the other one has timed out.
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 50 {
        let delivery = consumer.delivery().await;
        assert!(seen.insert(position(&delivery)), "delivered twice");
        consumer.ack(&delivery).await;
        consumer.send(Request::Heartbeat(Heartbeat {})).await;
    }
    // The stopped process continues, and its answers do not count.
    signal("-CONT");
    let positions: Vec<u64> = seen.into_iter().collect();
    let deadline = Instant::now() + LIMIT;
    loop {
        let group = describe(&mut groups, "mail").await;
        if group.position == 50 {
            assert_eq!(group.dead_letters, 0);
            break;
        }
        assert!(Instant::now() < deadline, "{positions:?} {group:?}");
        sleep(Duration::from_millis(50)).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn limits_are_named_in_the_details() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, mut groups) = with_group(dir.path(), 0, one_partition()).await;
    let settings = |change: fn(&mut v1::GroupSettings)| {
        let mut settings = v1::GroupSettings::default();
        change(&mut settings);
        settings
    };
    let name = "a".repeat(201);
    for (name, settings, field) in [
        ("", settings(|_| {}), "name"),
        (&*name, settings(|_| {}), "name"),
        ("a\u{7}", settings(|_| {}), "name"),
        (
            "a",
            settings(|it| it.partitions = 257),
            "settings.partitions",
        ),
        (
            "a",
            settings(|it| it.partition_key = 9),
            "settings.partition_key",
        ),
        (
            "a",
            settings(|it| it.partition_key = 3),
            "settings.partition_tag",
        ),
        (
            "a",
            settings(|it| it.partition_tag = "a".into()),
            "settings.partition_tag",
        ),
        (
            "a",
            settings(|it| it.ack_timeout = duration(99)),
            "settings.ack_timeout",
        ),
        (
            "a",
            settings(|it| it.max_attempts = 1_001),
            "settings.max_attempts",
        ),
        (
            "a",
            settings(|it| it.min_backoff = duration(0)),
            "settings.min_backoff",
        ),
        (
            "a",
            settings(|it| it.max_backoff = duration(1)),
            "settings.max_backoff",
        ),
        (
            "a",
            settings(|it| it.max_in_flight = 1_001),
            "settings.max_in_flight",
        ),
        (
            "a",
            settings(|it| it.max_consumers = 1_001),
            "settings.max_consumers",
        ),
        (
            "a",
            settings(|it| it.start = Some(v1::group_settings::Start::After(9))),
            "settings.after",
        ),
    ] {
        let request = v1::CreateGroupRequest {
            name: name.to_owned(),
            settings: Some(settings),
        };
        let status = groups.create_group(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let details = status.get_details_bad_request().unwrap();
        assert_eq!(details.field_violations[0].field, field, "{status}");
    }
}

#[tokio::test]
async fn requests_that_do_not_fit_the_group_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, mut groups) = with_group(dir.path(), 1, one_partition()).await;
    let again = v1::CreateGroupRequest {
        name: "mail".to_owned(),
        settings: None,
    };
    let status = groups.create_group(again).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    let update = |settings, if_generation| v1::UpdateGroupRequest {
        name: "mail".to_owned(),
        settings: Some(settings),
        if_generation,
    };
    let status = groups.update_group(update(one_partition(), Some(7))).await;
    assert_eq!(status.unwrap_err().code(), Code::Aborted);
    let other = v1::GroupSettings::default();
    let status = groups.update_group(update(other, None)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let one = v1::GroupSettings {
        max_consumers: 1,
        ..one_partition()
    };
    let updated = groups.update_group(update(one, Some(1))).await.unwrap();
    assert_eq!(updated.into_inner().group.unwrap().generation, 2);
    let invalid = Start {
        session_timeout: duration(10),
        ..start("mail", 1)
    };
    let status = Consumer::join(&mut groups, invalid).await.err().unwrap();
    assert_eq!(status.code(), Code::InvalidArgument);
    let mut consumer = Consumer::join(&mut groups, start("mail", 1)).await.unwrap();
    let status = Consumer::join(&mut groups, start("mail", 1))
        .await
        .err()
        .unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let status = Consumer::join(&mut groups, start("none", 1))
        .await
        .err()
        .unwrap();
    assert_eq!(status.code(), Code::NotFound);
    consumer.send(Request::Credit(Credit { events: 0 })).await;
    let stopped = consumer.stopped().await;
    assert_eq!(stopped.reason(), StopReason::InvalidRequest);
    assert_eq!(
        stopped.message,
        "invalid credit.events: expected at least 1"
    );
}

#[tokio::test]
async fn groups_are_listed_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, mut groups) = with_group(dir.path(), 0, one_partition()).await;
    let list = v1::ListGroupsRequest {
        page_size: 101,
        page_token: String::new(),
    };
    let status = groups.list_groups(list).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    create(&mut groups, "a/b", v1::GroupSettings::default()).await;
    let list = |page_token: &str| v1::ListGroupsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let first = groups.list_groups(list("")).await.unwrap().into_inner();
    assert_eq!(
        (&*first.groups[0].name, &*first.next_page_token),
        ("a/b", "a/b")
    );
    let second = groups.list_groups(list("a/b")).await.unwrap().into_inner();
    assert_eq!(second.groups[0].name, "mail");
}

/// Returns the value of a metric of the group "mail".
async fn metric(metrics: &str, name: &str) -> Option<f64> {
    let text = get(metrics, "/metrics").await;
    let prefix = format!("event_store_group_{name}{{group=\"mail\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    line.map(|value| value.parse().unwrap())
}

async fn wait_for_metric(metrics: &str, name: &str, expected: f64) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = metric(metrics, name).await;
        if found == Some(expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{name}: {found:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn metrics_show_lag_deliveries_and_dead_letters() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("METRICS_ADDR", "127.0.0.1:0")];
    let mut server = Server::start_with(dir.path(), &settings);
    let metrics = server.next_url("metrics");
    let mut client = server.client().await;
    for _ in 0..3 {
        client.append(append("hive", any(), "1")).await.unwrap();
    }
    let mut groups = groups(&server).await;
    let settings = v1::GroupSettings {
        partitions: 1,
        ..v1::GroupSettings::default()
    };
    create(&mut groups, "mail", settings).await;
    // A group without consumers has a lag.
    for (name, expected) in [
        ("lag_events", 3.0),
        ("dead_letters", 0.0),
        ("consumers", 0.0),
        ("in_flight_events", 0.0),
    ] {
        assert_eq!(metric(&metrics, name).await, Some(expected), "{name}");
    }
    let mut consumer = Consumer::join(&mut groups, start("mail", 1)).await.unwrap();
    let first = consumer.delivery().await;
    wait_for_metric(&metrics, "consumers", 1.0).await;
    wait_for_metric(&metrics, "in_flight_events", 1.0).await;
    assert_eq!(metric(&metrics, "redeliveries_total").await, None);
    consumer.nack(&first, Action::Retry).await;
    consumer.send(Request::Credit(Credit { events: 1 })).await;
    let again = consumer.delivery().await;
    assert_eq!((position(&again), again.attempt), (position(&first), 2));
    wait_for_metric(&metrics, "redeliveries_total", 1.0).await;
    consumer.nack(&again, Action::DeadLetter).await;
    consumer.settled(&[position(&first)]).await;
    wait_for_metric(&metrics, "dead_letters", 1.0).await;
    wait_for_metric(&metrics, "lag_events", 2.0).await;
    drop(consumer);
    wait_for_metric(&metrics, "consumers", 0.0).await;
    // A group that does not exist any more has no lag.
    let delete = v1::DeleteGroupRequest {
        name: "mail".to_owned(),
    };
    groups.delete_group(delete).await.unwrap();
    wait_for_metric(&metrics, "lag_events", 0.0).await;
}
