//! `kill -9` of the PostgreSQL server under many writers, a projection and a subscriber, which reconnect on their own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/moments.rs"]
mod moments;
#[path = "support/server.rs"]
mod server;

use std::collections::HashSet;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::engine::ExecuteError;
use factum::store::{Query, StoreError};
use factum::{Engine, Position};
use factum_postgres::PgConnectOptions;
use factum_postgres::sqlx::{self, ConnectOptions as _, PgConnection};
use factum_tests::backend::{Backend, CountJars};
use factum_tests::load::{Acknowledged, Fill};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use moments::Moments;
use server::Server;

const WRITERS: usize = 8;
const ROUNDS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_keeps_every_keyed_command_exactly_once() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let load = Load::start(&server, Commands::Keyed).await;
    load.survive_kills(&mut server).await;
    let outcome = load.finish().await;
    // With a key, every command has a known result.
    assert_eq!(outcome.unknown, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_stores_no_unkeyed_command_twice() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let load = Load::start(&server, Commands::NotKeyed).await;
    load.survive_kills(&mut server).await;
    load.finish().await;
}

#[derive(Clone, Copy, PartialEq)]
enum Commands {
    Keyed,
    NotKeyed,
}

/// The results of the commands of one or all writers.
#[derive(Default)]
struct Outcome {
    acknowledged: Vec<Acknowledged>,
    unknown: Vec<String>,
}

/// The concurrent work while the server is killed.
struct Load {
    location: String,
    backend: Backend,
    runtime: factum::Runtime,
    subscriber: JoinHandle<Vec<u64>>,
    writers: Vec<JoinHandle<Outcome>>,
    /// The number of acknowledged commands of each writer.
    acknowledged: watch::Sender<[u64; WRITERS]>,
    end: Arc<AtomicBool>,
    /// The position at which the subscriber stops, or 0 while it is unknown.
    last: watch::Sender<Position>,
}

impl Load {
    async fn start(server: &Server, commands: Commands) -> Self {
        let location = format!("{}#factum", server.url());
        let backend = Backend::open(&location).await.unwrap();
        let engine = backend.engine();
        let runtime = backend
            .runtime(&engine, CountJars::default())
            .await
            .unwrap();
        let (last, _) = watch::channel(Position::ZERO);
        let subscriber = tokio::spawn(subscribe(engine.clone(), last.subscribe()));
        let (acknowledged, _) = watch::channel([0; WRITERS]);
        let end = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS).map(|number| {
            let writer = Writer {
                number,
                commands,
                acknowledged: acknowledged.clone(),
                end: end.clone(),
            };
            tokio::spawn(writer.write(engine.clone()))
        });
        let writers = writers.collect();
        Self {
            location,
            backend,
            runtime,
            subscriber,
            writers,
            acknowledged,
            end,
            last,
        }
    }

    /// Kills the server several times, at a random moment or between a commit and its response.
    ///
    /// All work must continue after each restart.
    async fn survive_kills(&self, server: &mut Server) {
        let mut moments = Moments::new();
        for round in 0..ROUNDS {
            self.wait_for_commands(moments.next(30)).await;
            if round % 2 == 0 {
                server.kill();
                server.restart();
            } else {
                suspend_commits(server).await;
                server.kill();
                server.restart();
                resume_commits(server).await;
            }
        }
        self.wait_for_commands(5).await;
    }

    /// Waits until `count` more commands of each writer are acknowledged.
    async fn wait_for_commands(&self, count: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        let before = *acknowledged.borrow();
        let enough = |now: &[u64; WRITERS]| {
            let mut both = now.iter().zip(&before);
            both.all(|(now, before)| *now >= before + count)
        };
        let reached = tokio::time::timeout(TIMEOUT, acknowledged.wait_for(enough)).await;
        reached.expect("every writer continues").unwrap();
    }

    /// Stops all work and checks its results.
    async fn finish(self) -> Outcome {
        self.end.store(true, SeqCst);
        let mut all = Outcome::default();
        for writer in self.writers {
            let outcome = writer.await.unwrap();
            all.acknowledged.extend(outcome.acknowledged);
            all.unknown.extend(outcome.unknown);
        }
        let engine = self.backend.engine();
        let events = check::all_events(&engine).await;
        let commands = check::assert_complete(&events, &all.acknowledged, "at the end");
        let known: HashSet<&String> = all
            .acknowledged
            .iter()
            .map(|acknowledged| &acknowledged.command)
            .chain(&all.unknown)
            .collect();
        for command in commands.keys() {
            assert!(
                known.contains(command),
                "{command} failed, but its events are stored"
            );
        }
        let head = Position::new(events.len() as u64);
        self.last.send_replace(head);
        let seen = tokio::time::timeout(TIMEOUT, self.subscriber).await;
        let expected: Vec<u64> = (1..=head.get()).collect();
        assert_eq!(seen.expect("the subscriber continues").unwrap(), expected);
        let caught_up = tokio::time::timeout(TIMEOUT, self.runtime.wait_for(head)).await;
        caught_up.expect("the projection continues").unwrap();
        let jars = self.backend.jars().await.unwrap();
        assert_eq!(jars, check::expected_jars(&events, head));
        self.runtime.stop().await;
        self.backend.close().await;
        check::assert_consistent(&self.location, &all.acknowledged, "after reopening").await;
        all
    }
}

struct Writer {
    number: usize,
    commands: Commands,
    acknowledged: watch::Sender<[u64; WRITERS]>,
    end: Arc<AtomicBool>,
}

impl Writer {
    async fn write(self, engine: Engine) -> Outcome {
        let mut outcome = Outcome::default();
        for turn in 0.. {
            if self.end.load(SeqCst) {
                break;
            }
            let mut fill = Fill::new(&format!("w{}", self.number), turn);
            fill.keyed = self.commands == Commands::Keyed;
            match fill.execute(&engine).await {
                Ok(acknowledged) => {
                    outcome.acknowledged.push(acknowledged);
                    self.acknowledged
                        .send_modify(|counts| counts[self.number] += 1);
                }
                Err(ExecuteError::Store(StoreError::Interrupted(_))) => {
                    outcome.unknown.push(fill.name);
                }
                // The command had no effect, which `finish` checks.
                Err(ExecuteError::Store(StoreError::Unavailable(_))) => {}
                Err(error) => panic!("{}: {error:?}", fill.name),
            }
        }
        outcome
    }
}

/// Returns the positions of the received events, up to the last event.
async fn subscribe(engine: Engine, last: watch::Receiver<Position>) -> Vec<u64> {
    let mut subscription = engine.subscribe(Query::all(), Position::ZERO);
    let mut seen = Vec::new();
    let mut last = last;
    loop {
        let end = *last.borrow_and_update();
        if end > Position::ZERO && subscription.position() >= end {
            return seen;
        }
        tokio::select! {
            page = subscription.next_page() => match page {
                Ok(page) => seen.extend(page.events.iter().map(|event| event.position.get())),
                Err(StoreError::Closed) => return seen,
                // The server is down, and will be restarted.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            },
            _ = last.changed() => {}
        }
    }
}

/// Delays the response to every durable commit, and returns when an append is waiting.
///
/// Each commit waits for a synchronous standby that does not exist.
async fn suspend_commits(server: &Server) {
    let mut control = control(server).await;
    let suspend = [
        "alter system set synchronous_standby_names = 'nobody'",
        "select pg_reload_conf()",
    ];
    for sql in suspend {
        sqlx::query(sql).execute(&mut control).await.unwrap();
    }
    // Ignores commits of the projection, which wait as well.
    let sql = "select count(*) from pg_stat_activity waiting
        where wait_event = 'SyncRep' and not exists (
            select from pg_locks join pg_class on pg_class.oid = relation
            where pg_locks.pid = waiting.pid and relname = 'jar'
        )";
    let waiting = async {
        while sqlx::query_scalar::<_, i64>(sql)
            .fetch_one(&mut control)
            .await
            .unwrap()
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, waiting)
        .await
        .expect("an append waits");
}

async fn resume_commits(server: &Server) {
    let mut control = control(server).await;
    for sql in [
        "alter system reset synchronous_standby_names",
        "select pg_reload_conf()",
    ] {
        sqlx::query(sql).execute(&mut control).await.unwrap();
    }
}

async fn control(server: &Server) -> PgConnection {
    let server = PgConnectOptions::from_str(&server.url()).unwrap();
    server.connect().await.unwrap()
}
