//! Guarantees over the wire: histories of clients are linearizable while the server is killed or connections are cut.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/cut_proxy.rs"]
mod cut_proxy;
#[path = "support/patient_store.rs"]
mod patient_store;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/resuming_subscriber.rs"]
mod resuming_subscriber;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cut_proxy::CutProxy;
use factum::store::EventStore;
use factum_grpc::GrpcStore;
use factum_tests::history::{Plan, run};
use factum_tests::own_server::OwnServer;
use patient_store::PatientStore;
use resuming_subscriber::follow;
use server::Server;
use tokio::sync::watch;
use tokio::task::{JoinSet, block_in_place};

const CLIENTS: usize = 12;
/// The number of subscribers that use the native protocol. The history has three that read pages.
const SUBSCRIBERS: usize = 4;
/// The number of calls of each client for one disruption. It is more than a disruption needs.
const TURNS: usize = 30;
/// The greatest number of acknowledged appends between two disruptions.
const MAX_APPENDS: u64 = 100;

/// Disrupts clients of the server at `url` that number of times, and checks their history.
///
/// Nothing that was acknowledged is lost, nothing is stored twice, and subscribers receive each event once.
///
/// Returns the number of connections that each subscriber needed.
async fn check_history(
    url: &str,
    disruptions: u64,
    disrupt: impl Fn() + Send + 'static,
) -> Vec<usize> {
    let acknowledged = Arc::new(watch::Sender::new(0));
    let mut handles: Vec<Arc<dyn EventStore>> = Vec::new();
    for _ in 0..3 {
        handles.push(Arc::new(PatientStore {
            store: GrpcStore::open(url).await.unwrap(),
            acknowledged: acknowledged.clone(),
        }));
    }
    let ending = watch::Sender::new(None);
    let mut subscribers = JoinSet::new();
    for _ in 0..SUBSCRIBERS {
        subscribers.spawn(follow(url.to_owned(), ending.subscribe()));
    }
    let mut progress = acknowledged.subscribe();
    let disruptor = tokio::spawn(async move {
        for _ in 0..disruptions {
            let next = *progress.borrow() + fastrand::u64(1..=MAX_APPENDS);
            let reached = progress.wait_for(|count| *count >= next).await;
            reached.expect("the clients outlive the disruptions");
            block_in_place(&disrupt);
        }
    });
    let seed = fastrand::u64(..1 << 32);
    let plan = Plan {
        seed,
        clients: CLIENTS,
        turns: TURNS * disruptions as usize,
    };
    let history = run(plan, &handles).await.unwrap();
    assert!(
        disruptor.is_finished(),
        "too few calls: {:?}",
        history.tally()
    );
    disruptor.await.unwrap();
    if let Err(anomaly) = history.check() {
        panic!("seed {seed}: {}", history.describe(&anomaly));
    }
    let ids: Vec<String> = history
        .log
        .iter()
        .map(|event| event.id.to_string())
        .collect();
    ending.send_replace(Some(ids.len() as u64));
    let mut connections = Vec::new();
    for received in subscribers.join_all().await {
        assert_eq!(received.ids, ids, "seed {seed}");
        connections.push(received.connections);
    }
    let tally = history.tally();
    assert!(tally.failed > 0 && tally.stored > 100, "{tally:?}");
    connections
}

/// Fails if a subscriber was not disrupted.
fn assert_reconnected(connections: &[usize]) {
    assert!(
        connections.iter().all(|count| *count > 1),
        "{connections:?}"
    );
}

/// Kills the server that number of times.
async fn kill(rounds: u64) {
    let dir = tempfile::tempdir().unwrap();
    let first = Server::start(dir.path());
    let proxy = Arc::new(CutProxy::start(first.address()).await);
    let folder = dir.path().to_owned();
    let server = Arc::new(Mutex::new(Some(first)));
    let (killed, front) = (server.clone(), proxy.clone());
    let disrupt = move || {
        let mut server = killed.lock().unwrap();
        // `Drop` kills the process with SIGKILL.
        drop(server.take());
        let next = server.insert(Server::start(&folder));
        front.replace_server(next.address());
    };
    assert_reconnected(&check_history(&proxy.url, rounds, disrupt).await);
    // The server lives until its clients have finished.
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_server_loses_nothing_and_stores_nothing_twice() {
    kill(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "it takes minutes; the shorter test kills the server ten times"]
async fn server_is_killed_a_hundred_times() {
    kill(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cut_connections_lose_nothing_and_store_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let proxy = Arc::new(CutProxy::start(server.address()).await);
    let front = proxy.clone();
    let connections = check_history(&proxy.url, 20, move || front.cut()).await;
    assert_reconnected(&connections);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn restarted_database_loses_nothing_and_stores_nothing_twice() {
    let Some(database) = OwnServer::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let url = database.url();
    let server = Server::start_with(dir.path(), &[("DATABASE_URL", &url)]);
    // The database lives until the clients have finished.
    let (database, restarts) = (Arc::new(database), AtomicUsize::new(0));
    let restarted = database.clone();
    let restart = move || {
        let count = restarts.fetch_add(1, Ordering::Relaxed);
        restarted.control(if count % 2 == 0 { "stop" } else { "crash" });
        restarted.control("start");
    };
    // A subscription that notices no outage keeps its first connection.
    check_history(&server.url, 4, restart).await;
}
