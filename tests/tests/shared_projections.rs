//! Nodes that share the partitions of a projection: killed, suspended, joining and leaving.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/server.rs"]
mod server;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use factum::Position;
use factum::runtime::checkpoint;
use factum::store::DocumentChanges;
use factum_tests::backend::Backend;
use factum_tests::load::Fill;

use lines::Lines;

/// The lease of `project_forever`.
const LEASE: Duration = Duration::from_millis(600);

/// A running `project_forever`, which is killed when the value is dropped.
struct Node {
    child: Child,
    lines: Lines,
    /// The number of partitions that the program last reported to own.
    owned: usize,
}

impl Node {
    fn start(place: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_project_forever"))
            .arg(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::new(child.stdout.take().unwrap());
        Self {
            child,
            lines,
            owned: 0,
        }
    }

    /// Waits until the program prints `line`.
    fn wait_for_line(&mut self, line: &str) {
        while self.lines.next().unwrap() != line {}
    }

    /// Waits until the number of owned partitions satisfies `wanted`.
    fn wait_for_owned(&mut self, wanted: impl Fn(usize) -> bool) {
        loop {
            for line in self.lines.buffered().collect::<Vec<_>>() {
                self.record(&line);
            }
            if wanted(self.owned) {
                return;
            }
            let line = self.lines.next().unwrap();
            self.record(&line);
        }
    }

    fn record(&mut self, line: &str) {
        if let Some(owned) = line.strip_prefix("owns ") {
            self.owned = owned.parse().unwrap();
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Suspends the program with `SIGSTOP` while it does not hold the write lock of a SQLite file.
    async fn suspend_between_writes(&self, backend: &Backend) {
        loop {
            self.signal("-STOP");
            let engine = backend.engine();
            let probe = DocumentChanges::new().put("probe", "{}");
            let probe = engine.store().change_documents(probe);
            if tokio::time::timeout(LEASE / 2, probe).await.is_ok() {
                return;
            }
            self.signal("-CONT");
        }
    }

    /// Lets the program shut down gracefully.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Fails if the program has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Executes commands of four writers and returns the last position.
async fn fill(backend: &Backend, turns: std::ops::Range<u64>) -> Position {
    let engine = backend.engine();
    let mut last = 0;
    for turn in turns {
        for writer in ["a", "b", "c", "d"] {
            let fill = Fill::new(writer, turn);
            last = fill.execute(&engine).await.unwrap().position;
        }
    }
    Position::new(last)
}

/// Waits until the stored checkpoints of all partitions reach `position`.
async fn until(backend: &Backend, position: Position) {
    let engine = backend.engine();
    let reached = async {
        while checkpoint(&**engine.store(), "counts").await.unwrap() < position {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(30), reached).await;
    reached.unwrap();
}

/// Asserts that the table equals a replay of all events.
async fn assert_matches_replay(backend: &Backend) {
    let events = check::all_events(&backend.engine()).await;
    let head = Position::new(events.len() as u64);
    assert_eq!(
        backend.jars().await.unwrap(),
        check::expected_jars(&events, head)
    );
}

async fn partitions_of_killed_node_are_taken_over(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let mut last = fill(&backend, 0..10).await;
    let mut killed = Node::start(place);
    killed.wait_for_owned(|owned| owned == 4);
    let mut other = Node::start(place);
    other.wait_for_owned(|owned| owned == 2);
    for round in 1..=2 {
        last = last.max(fill(&backend, round * 10..round * 10 + 10).await);
        killed.wait_for_line("applying");
        killed.signal("-KILL");
        let since = Instant::now();
        other.wait_for_owned(|owned| owned == 4);
        let took = since.elapsed();
        // The lease, one heartbeat until the expiry is noticed, and a margin for a busy machine.
        assert!(took < LEASE * 2 + Duration::from_secs(2), "{took:?}");
        until(&backend, last).await;
        assert_matches_replay(&backend).await;
        killed = other;
        other = Node::start(place);
        other.wait_for_owned(|owned| owned == 2);
    }
}

async fn writes_of_suspended_owner_are_rejected(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let mut last = fill(&backend, 0..5).await;
    let mut suspended = Node::start(place);
    suspended.wait_for_owned(|owned| owned == 4);
    let mut other = Node::start(place);
    for round in 1..=2 {
        suspended.wait_for_owned(|owned| owned == 2);
        other.wait_for_owned(|owned| owned == 2);
        until(&backend, last).await;
        suspended.suspend_between_writes(&backend).await;
        last = fill(&backend, round * 20..round * 20 + 10).await;
        other.wait_for_owned(|owned| owned == 4);
        until(&backend, last).await;
        // The suspended node resumes while the other one is processing.
        let more = fill(&backend, round * 20 + 10..round * 20 + 20);
        suspended.signal("-CONT");
        last = more.await;
        until(&backend, last).await;
        assert_matches_replay(&backend).await;
    }
    suspended.end();
    other.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owner_suspended_in_transaction_does_not_block_others() {
    let Some(place) = databases::schema("suspended_owner") else {
        return;
    };
    let backend = Backend::open(&place.url).await.unwrap();
    let mut suspended = Node::start(&place.url);
    suspended.wait_for_owned(|owned| owned == 4);
    fill(&backend, 0..40).await;
    suspended.wait_for_line("applying");
    suspended.signal("-STOP");
    let mut other = Node::start(&place.url);
    other.wait_for_owned(|owned| owned == 4);
    let last = fill(&backend, 40..45).await;
    until(&backend, last).await;
    suspended.signal("-CONT");
    let last = fill(&backend, 45..50).await;
    until(&backend, last).await;
    assert_matches_replay(&backend).await;
}

async fn partitions_are_rebalanced_when_nodes_join_and_leave(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let mut last = fill(&backend, 0..5).await;
    let mut first = Node::start(place);
    first.wait_for_owned(|owned| owned == 4);
    let mut second = Node::start(place);
    second.wait_for_owned(|owned| owned == 2);
    first.wait_for_owned(|owned| owned == 2);
    last = last.max(fill(&backend, 5..10).await);
    let mut third = Node::start(place);
    third.wait_for_owned(|owned| owned > 0);
    until(&backend, last).await;
    first.end();
    let since = Instant::now();
    last = fill(&backend, 10..15).await;
    until(&backend, last).await;
    // A node that shuts down gracefully releases its partitions.
    assert!(since.elapsed() < Duration::from_secs(3));
    second.wait_for_owned(|owned| owned == 2);
    third.wait_for_owned(|owned| owned == 2);
    second.end();
    third.wait_for_owned(|owned| owned == 4);
    assert_matches_replay(&backend).await;
    third.end();
}

async fn wait_on_node_without_partitions_is_prompt(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let mut owner = Node::start(place);
    owner.wait_for_owned(|owned| owned == 4);
    let builder = factum::Runtime::builder(&engine).lease(Duration::from_secs(60));
    let count = factum_tests::count::Count::<1, 4>::default();
    let runtime = count
        .on(
            &backend,
            builder,
            factum::runtime::FailurePolicy::DeadLetter,
        )
        .start()
        .await
        .unwrap();
    let mut waits = Vec::new();
    for turn in 0..20 {
        let filled = Fill::new("a", turn).execute(&engine).await.unwrap();
        let since = Instant::now();
        let wait = runtime.wait_for(Position::new(filled.position));
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .unwrap()
            .unwrap();
        waits.push(since.elapsed());
        assert_matches_replay(&backend).await;
    }
    waits.sort();
    // The heartbeat interval of this node is 20 seconds.
    assert!(waits[10] < Duration::from_millis(200), "{waits:?}");
    runtime.stop().await;
    owner.end();
}

/// Starts the projection on a node with a fixed name.
async fn start_named(backend: &Backend, engine: &factum::Engine) -> factum::Runtime {
    let builder = factum::Runtime::builder(engine).node_name("node-1");
    let builder = builder.lease(Duration::from_secs(60));
    let count = factum_tests::count::Count::<1, 4>::default();
    count
        .on(backend, builder, factum::runtime::FailurePolicy::DeadLetter)
        .start()
        .await
        .unwrap()
}

async fn restarted_node_with_same_name_resumes_at_once(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&backend, 0..5).await;
    let first = start_named(&backend, &engine).await;
    first.wait_for(last).await.unwrap();
    // The node ends without releasing its lease.
    drop(first);
    let last = fill(&backend, 5..10).await;
    let second = start_named(&backend, &engine).await;
    let waited = tokio::time::timeout(Duration::from_secs(20), second.wait_for(last)).await;
    waited
        .expect("the node waited for its old lease, which lasts one minute")
        .unwrap();
    assert_eq!(second.status()[0].nodes, [Some(second.node()); 4]);

    // If a second node takes over the name, the first one loses no event and does not take the lease back.
    let third = start_named(&backend, &engine).await;
    let last = fill(&backend, 10..15).await;
    third.wait_for(last).await.unwrap();
    second.wait_for(last).await.unwrap();
    assert_matches_replay(&backend).await;
    let last = fill(&backend, 15..20).await;
    second.wait_for(last).await.unwrap();
    assert_matches_replay(&backend).await;
    third.stop().await;
    second.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    restarted_node_with_same_name_resumes_at_once;
    partitions_of_killed_node_are_taken_over;
    writes_of_suspended_owner_are_rejected;
    partitions_are_rebalanced_when_nodes_join_and_leave;
    wait_on_node_without_partitions_is_prompt;
}
