//! Subscribers: a thousand on one server, and one whose process is stopped. They are never silent, and miss nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/resuming_subscriber.rs"]
mod resuming_subscriber;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use resuming_subscriber::{MAX_SILENCE, Received, subscribe};
use server::{LIMIT, Server, any, append};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Streaming;
use tonic::transport::Channel;

const MIB: u64 = 1024 * 1024;

/// Returns the request to append `count` events of `size` bytes to one stream.
fn events(count: usize, size: usize) -> v1::AppendRequest {
    let mut request = append("hive", any(), vec![7; size]);
    request.events = vec![request.events.remove(0); count];
    request
}

/// Waits for the next message, at most for `limit`.
async fn receive(
    messages: &mut Streaming<v1::SubscribeResponse>,
    received: &mut Received,
    limit: Duration,
) {
    let message = timeout(limit, messages.message()).await;
    let message = message.expect("a subscription is not silent").unwrap();
    received.add(message.unwrap().message.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousand_subscribers_get_all_events_and_checkpoints() {
    const CONNECTIONS: usize = 10;
    const SUBSCRIBERS_PER_CONNECTION: usize = 100;
    const EVENTS: u64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut subscribers = JoinSet::new();
    let received_all = watch::Sender::new(0);
    for _ in 0..CONNECTIONS {
        let client = server.client().await;
        for _ in 0..SUBSCRIBERS_PER_CONNECTION {
            let (mut client, received_all) = (client.clone(), received_all.clone());
            subscribers.spawn(async move {
                let mut messages = subscribe(&mut client, 0).await.unwrap();
                let mut received = Received::default();
                while received.position() < EVENTS {
                    receive(&mut messages, &mut received, MAX_SILENCE).await;
                }
                received_all.send_modify(|count| *count += 1);
                // No event follows, and the server must still send a message.
                let before = received.checkpoints;
                while received.checkpoints == before {
                    receive(&mut messages, &mut received, MAX_SILENCE).await;
                }
                received.ids
            });
        }
    }
    let mut client = server.client().await;
    for _ in 0..EVENTS {
        client.append(events(1, 1_000)).await.unwrap();
    }
    let all = CONNECTIONS * SUBSCRIBERS_PER_CONNECTION;
    let mut complete = received_all.subscribe();
    let complete = timeout(LIMIT, complete.wait_for(|count| *count == all)).await;
    complete.expect("all events are delivered").unwrap();
    let ids = subscribers.join_all().await;
    assert_eq!(ids.len(), all);
    assert!(ids.iter().all(|other| *other == ids[0]));
    let peak = server.memory("VmHWM");
    assert!(peak <= 256 * MIB, "{} MiB", peak / MIB);
}

/// The process of a reader, which prints a line for each message.
struct Reader {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Reader {
    /// Starts a process with the test `reader_process`.
    fn start(url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["reader_process", "--exact", "--ignored", "--nocapture"])
            .env(READER_URL, url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until the reader has received all events up to `position`, and returns its counts.
    ///
    /// The counts are those of the messages [`FellBehind`](v1::FellBehind) and [`CaughtUp`](v1::CaughtUp).
    fn wait_for(&mut self, position: u64) -> (usize, usize) {
        loop {
            let line = self.lines.next().expect("the reader runs").unwrap();
            let Some(line) = line.strip_prefix(READER_LINE) else {
                continue;
            };
            let counts: Vec<usize> = line
                .split(' ')
                .map(|count| count.parse().unwrap())
                .collect();
            if counts[0] as u64 >= position && counts[2] > counts[1] {
                return (counts[1], counts[2]);
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const READER_URL: &str = "READER_URL";
const READER_LINE: &str = "received ";

#[tokio::test]
#[ignore = "the process of another test"]
async fn reader_process() {
    let Ok(url) = std::env::var(READER_URL) else {
        return;
    };
    let mut client = EventStoreServiceClient::<Channel>::connect(url)
        .await
        .unwrap();
    let mut messages = subscribe(&mut client, 0).await.unwrap();
    let mut received = Received::default();
    loop {
        // The time during which the process is stopped counts.
        receive(&mut messages, &mut received, 4 * LIMIT).await;
        let Received {
            fell_behind,
            caught_up,
            ..
        } = received;
        let line = format!(
            "{READER_LINE}{} {fell_behind} {caught_up}\n",
            received.position()
        );
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stopped_reader_falls_behind_and_misses_nothing() {
    const APPENDS: u64 = 100;
    const EVENTS: u64 = 500;
    const SIZE: u64 = 4_096;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut client = server.client().await;
    let mut reader = Reader::start(&server.url);
    let request = events(EVENTS as usize, SIZE as usize);
    for _ in 0..4 {
        client.append(request.clone()).await.unwrap();
    }
    let (fell_behind_before, _) = reader.wait_for(4 * EVENTS);
    let before = server.memory("VmHWM");
    reader.signal("-STOP");
    for _ in 0..APPENDS {
        client.append(request.clone()).await.unwrap();
    }
    let after = server.memory("VmHWM");
    reader.signal("-CONT");
    let (fell_behind, caught_up) = reader.wait_for((4 + APPENDS) * EVENTS);
    assert!(fell_behind > fell_behind_before, "the reader was too slow");
    assert!(caught_up > fell_behind);
    let (grown, unread) = (after - before, APPENDS * EVENTS * SIZE);
    assert!(grown < unread / 2, "{} MiB", grown / MIB);
}
