//! Several processes that share the partitions of a projection: killed, stopped for a while, joining and leaving.

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
use factum::document::Changes;
use factum::projections::checkpoint;
use factum_tests::backend::Backend;
use factum_tests::load::Fill;

use lines::Lines;

/// As in the program.
const LEASE: Duration = Duration::from_millis(600);

/// `project_forever` in a process of its own; killed with the value.
struct Instance {
    child: Child,
    lines: Lines,
    /// How many partitions it said last that it owns.
    owned: usize,
}

impl Instance {
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

    /// Waits until it says `line`.
    fn hear(&mut self, line: &str) {
        while self.lines.next().unwrap() != line {}
    }

    /// Waits until it owns so many partitions.
    fn owns(&mut self, wanted: impl Fn(usize) -> bool) {
        loop {
            for line in self.lines.buffered().collect::<Vec<_>>() {
                self.note(&line);
            }
            if wanted(self.owned) {
                return;
            }
            let line = self.lines.next().unwrap();
            self.note(&line);
        }
    }

    fn note(&mut self, line: &str) {
        if let Some(owned) = line.strip_prefix("owns ") {
            self.owned = owned.parse().unwrap();
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Stops it, at a moment when it does not hold the only writer of a SQLite file.
    async fn stop_between_writes(&self, backend: &Backend) {
        loop {
            self.signal("-STOP");
            let engine = backend.engine();
            let probe = Changes::new().put("probe", "{}");
            let probe = engine.store().change_documents(probe);
            if tokio::time::timeout(LEASE / 2, probe).await.is_ok() {
                return;
            }
            self.signal("-CONT");
        }
    }

    /// Lets it end in order.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Commands of a few writers, from `turn` on.
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

/// Waits until every partition has come to `position`, as the documents say.
async fn until(backend: &Backend, position: Position) {
    let engine = backend.engine();
    let come = async {
        while checkpoint(&**engine.store(), "counts").await.unwrap() < position {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let come = tokio::time::timeout(Duration::from_secs(30), come).await;
    come.unwrap();
}

async fn assert_is_a_replay(backend: &Backend) {
    let events = check::all_events(&backend.engine()).await;
    let head = Position::new(events.len() as u64);
    assert_eq!(
        backend.jars().await.unwrap(),
        check::expected_jars(&events, head)
    );
}

async fn the_partitions_of_a_killed_instance_are_taken_over_in_time(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let mut last = fill(&backend, 0..10).await;
    let mut killed = Instance::start(place);
    killed.owns(|owned| owned == 4);
    let mut other = Instance::start(place);
    other.owns(|owned| owned == 2);
    for round in 1..=2 {
        last = last.max(fill(&backend, round * 10..round * 10 + 10).await);
        killed.hear("applying");
        killed.signal("-KILL");
        let since = Instant::now();
        other.owns(|owned| owned == 4);
        let took = since.elapsed();
        // The lease, a beat in which it is noticed, and what a busy machine needs.
        assert!(took < LEASE * 2 + Duration::from_secs(2), "{took:?}");
        until(&backend, last).await;
        assert_is_a_replay(&backend).await;
        killed = other;
        other = Instance::start(place);
        other.owns(|owned| owned == 2);
    }
}

async fn what_a_paused_owner_writes_is_rejected(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let mut last = fill(&backend, 0..5).await;
    let mut paused = Instance::start(place);
    paused.owns(|owned| owned == 4);
    let mut other = Instance::start(place);
    for round in 1..=2 {
        paused.owns(|owned| owned == 2);
        other.owns(|owned| owned == 2);
        until(&backend, last).await;
        paused.stop_between_writes(&backend).await;
        last = fill(&backend, round * 20..round * 20 + 10).await;
        other.owns(|owned| owned == 4);
        until(&backend, last).await;
        // Now it goes on as if nothing had happened, with the others at work.
        let more = fill(&backend, round * 20 + 10..round * 20 + 20);
        paused.signal("-CONT");
        last = more.await;
        until(&backend, last).await;
        assert_is_a_replay(&backend).await;
    }
    paused.end();
    other.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_hangs_in_its_transaction_does_not_hold_the_others_up() {
    let Some(place) = databases::schema("an_owner_that_hangs") else {
        return;
    };
    let backend = Backend::open(&place.url).await.unwrap();
    let mut paused = Instance::start(&place.url);
    paused.owns(|owned| owned == 4);
    fill(&backend, 0..40).await;
    paused.hear("applying");
    paused.signal("-STOP");
    let mut other = Instance::start(&place.url);
    other.owns(|owned| owned == 4);
    let last = fill(&backend, 40..45).await;
    until(&backend, last).await;
    paused.signal("-CONT");
    let last = fill(&backend, 45..50).await;
    until(&backend, last).await;
    assert_is_a_replay(&backend).await;
}

async fn work_is_spread_evenly_over_those_who_come_and_go(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let mut last = fill(&backend, 0..5).await;
    let mut first = Instance::start(place);
    first.owns(|owned| owned == 4);
    let mut second = Instance::start(place);
    second.owns(|owned| owned == 2);
    first.owns(|owned| owned == 2);
    last = last.max(fill(&backend, 5..10).await);
    let mut third = Instance::start(place);
    third.owns(|owned| owned > 0);
    until(&backend, last).await;
    first.end();
    let since = Instant::now();
    last = fill(&backend, 10..15).await;
    until(&backend, last).await;
    // Whoever leaves in order gives its work back.
    assert!(since.elapsed() < Duration::from_secs(3));
    second.owns(|owned| owned == 2);
    third.owns(|owned| owned == 2);
    second.end();
    third.owns(|owned| owned == 4);
    assert_is_a_replay(&backend).await;
    third.end();
}

async fn a_wait_through_an_instance_that_owns_nothing_is_prompt(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let mut owner = Instance::start(place);
    owner.owns(|owned| owned == 4);
    let builder = factum::Projections::builder(&engine).lease(Duration::from_secs(60));
    let count = factum_tests::count::Count::<1, 4>::default();
    let projections = count
        .on(&backend, builder, factum::FailurePolicy::DeadLetter)
        .start();
    let mut waits = Vec::new();
    for turn in 0..20 {
        let told = Fill::new("a", turn).execute(&engine).await.unwrap();
        let since = Instant::now();
        let wait = projections.wait_for(Position::new(told.position));
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .unwrap()
            .unwrap();
        waits.push(since.elapsed());
        assert_is_a_replay(&backend).await;
    }
    waits.sort();
    // A beat of this instance would be 20 seconds.
    assert!(waits[10] < Duration::from_millis(200), "{waits:?}");
    projections.stop().await;
    owner.end();
}

fn named(backend: &Backend, engine: &factum::Engine) -> factum::Projections {
    let builder = factum::Projections::builder(engine).instance("the one");
    let builder = builder.lease(Duration::from_secs(60));
    let count = factum_tests::count::Count::<1, 4>::default();
    count
        .on(backend, builder, factum::FailurePolicy::DeadLetter)
        .start()
}

async fn who_is_started_again_under_its_name_goes_on_at_once(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&backend, 0..5).await;
    let first = named(&backend, &engine);
    first.wait_for(last).await.unwrap();
    // It gives no sign of its end.
    drop(first);
    let last = fill(&backend, 5..10).await;
    let second = named(&backend, &engine);
    let waited = tokio::time::timeout(Duration::from_secs(20), second.wait_for(last)).await;
    waited.expect("a lease is a minute").unwrap();
    assert_eq!(second.status()[0].owners, [Some(second.instance()); 4]);

    // Nobody takes a name in vain: who lives still does not lose an event, and does not take back what was taken.
    let third = named(&backend, &engine);
    let last = fill(&backend, 10..15).await;
    third.wait_for(last).await.unwrap();
    second.wait_for(last).await.unwrap();
    assert_is_a_replay(&backend).await;
    let last = fill(&backend, 15..20).await;
    second.wait_for(last).await.unwrap();
    assert_is_a_replay(&backend).await;
    third.stop().await;
    second.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    who_is_started_again_under_its_name_goes_on_at_once;
    the_partitions_of_a_killed_instance_are_taken_over_in_time;
    what_a_paused_owner_writes_is_rejected;
    work_is_spread_evenly_over_those_who_come_and_go;
    a_wait_through_an_instance_that_owns_nothing_is_prompt;
}
