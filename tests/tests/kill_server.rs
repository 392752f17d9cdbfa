//! `kill -9` of the PostgreSQL server under many writers, a projection and a subscriber, which find it again by
//! themselves.

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

use factum::{Engine, ExecuteError, Position, Query, StoreError};
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
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_database_has_what_was_acknowledged_and_every_keyed_command_once() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let load = Load::start(&server, Commands::Keyed).await;
    load.survive(&mut server).await;
    let outcome = load.end().await;
    // With a key, nobody is left to wonder.
    assert_eq!(outcome.unknown, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_database_has_no_command_without_a_key_twice() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let load = Load::start(&server, Commands::NotKeyed).await;
    load.survive(&mut server).await;
    load.end().await;
}

#[derive(Clone, Copy, PartialEq)]
enum Commands {
    Keyed,
    NotKeyed,
}

/// What one writer, or all, heard of their commands.
#[derive(Default)]
struct Outcome {
    told: Vec<Acknowledged>,
    unknown: Vec<String>,
}

/// Everything that runs while the server is killed.
struct Load {
    place: String,
    backend: Backend,
    projections: factum::Projections,
    subscriber: JoinHandle<Vec<u64>>,
    writers: Vec<JoinHandle<Outcome>>,
    /// How many commands each writer was told of.
    told: watch::Sender<[u64; WRITERS]>,
    end: Arc<AtomicBool>,
    /// Up to where the subscriber goes; 0: not known yet.
    last: watch::Sender<Position>,
}

impl Load {
    async fn start(server: &Server, commands: Commands) -> Self {
        let place = format!("{}#factum", server.url());
        let backend = Backend::open(&place).await.unwrap();
        let engine = backend.engine();
        let projections = backend.projections(&engine, CountJars::default());
        let (last, _) = watch::channel(Position::ZERO);
        let subscriber = tokio::spawn(subscribe(engine.clone(), last.subscribe()));
        let (told, _) = watch::channel([0; WRITERS]);
        let end = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS).map(|number| {
            let writer = Writer {
                number,
                commands,
                told: told.clone(),
                end: end.clone(),
            };
            tokio::spawn(writer.write(engine.clone()))
        });
        let writers = writers.collect();
        Self {
            place,
            backend,
            projections,
            subscriber,
            writers,
            told,
            end,
            last,
        }
    }

    /// The server is killed at some moment, or between a commit and its answer; and every time everyone goes on.
    async fn survive(&self, server: &mut Server) {
        let mut moments = Moments::new();
        for round in 0..ROUNDS {
            self.hear(moments.next(30)).await;
            if round % 2 == 0 {
                server.kill();
                server.restart();
            } else {
                hold_answers(server).await;
                server.kill();
                server.restart();
                release_answers(server).await;
            }
        }
        self.hear(5).await;
    }

    /// Waits until each writer was told of `count` more commands.
    async fn hear(&self, count: u64) {
        let mut told = self.told.subscribe();
        let before = *told.borrow();
        let enough = |now: &[u64; WRITERS]| {
            let mut both = now.iter().zip(&before);
            both.all(|(now, before)| *now >= before + count)
        };
        let heard = tokio::time::timeout(PATIENCE, told.wait_for(enough)).await;
        heard.expect("every writer goes on").unwrap();
    }

    /// Lets everyone come to an end, and checks what they have done.
    async fn end(self) -> Outcome {
        self.end.store(true, SeqCst);
        let mut all = Outcome::default();
        for writer in self.writers {
            let outcome = writer.await.unwrap();
            all.told.extend(outcome.told);
            all.unknown.extend(outcome.unknown);
        }
        let engine = self.backend.engine();
        let events = check::all_events(&engine).await;
        let commands = check::assert_complete(&events, &all.told, "at the end");
        let known: HashSet<&String> = all
            .told
            .iter()
            .map(|told| &told.command)
            .chain(&all.unknown)
            .collect();
        for command in commands.keys() {
            assert!(
                known.contains(command),
                "{command} was rejected, and has happened"
            );
        }
        let head = Position::new(events.len() as u64);
        self.last.send_replace(head);
        let seen = tokio::time::timeout(PATIENCE, self.subscriber).await;
        let expected: Vec<u64> = (1..=head.get()).collect();
        assert_eq!(seen.expect("the subscriber goes on").unwrap(), expected);
        let caught_up = tokio::time::timeout(PATIENCE, self.projections.wait_for(head)).await;
        caught_up.expect("the projection goes on").unwrap();
        let jars = self.backend.jars().await.unwrap();
        assert_eq!(jars, check::expected_jars(&events, head));
        self.projections.stop().await;
        self.backend.close().await;
        check::assert_consistent(&self.place, &all.told, "opened again").await;
        all
    }
}

struct Writer {
    number: usize,
    commands: Commands,
    told: watch::Sender<[u64; WRITERS]>,
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
                Ok(told) => {
                    outcome.told.push(told);
                    self.told.send_modify(|told| told[self.number] += 1);
                }
                Err(ExecuteError::Store(StoreError::Interrupted(_))) => {
                    outcome.unknown.push(fill.name);
                }
                // Nothing was done, which is checked.
                Err(ExecuteError::Store(StoreError::Unavailable(_))) => {}
                Err(error) => panic!("{}: {error:?}", fill.name),
            }
        }
        outcome
    }
}

/// The positions of all events up to the last, as they come.
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
                // There is no server; it is started soon.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            },
            _ = last.changed() => {}
        }
    }
}

/// From now on no commit is answered, although it is durable: each waits for a standby that does not exist. Returns
/// once an append waits.
async fn hold_answers(server: &Server) {
    let mut control = control(server).await;
    let hold = [
        "alter system set synchronous_standby_names = 'nobody'",
        "select pg_reload_conf()",
    ];
    for sql in hold {
        sqlx::query(sql).execute(&mut control).await.unwrap();
    }
    // What the projection has changed in its table waits, too.
    let sql = "select count(*) from pg_stat_activity waiting
        where wait_event = 'SyncRep' and not exists (
            select from pg_locks join pg_class on pg_class.oid = relation
            where pg_locks.pid = waiting.pid and relname = 'jar'
        )";
    let held = async {
        while sqlx::query_scalar::<_, i64>(sql)
            .fetch_one(&mut control)
            .await
            .unwrap()
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, held)
        .await
        .expect("an append waits");
}

async fn release_answers(server: &Server) {
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
