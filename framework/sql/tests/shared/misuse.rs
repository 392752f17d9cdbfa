//! Projections that write to their own store with anything but their transaction, and would wait for themselves.
//!
//! The crate that includes it has a module `adapter` with `Options` and `Store`.

#![allow(dead_code, reason = "no test uses all items")]

use std::future::IntoFuture as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{ConsumerState, DeadLetterState};
use factum::store::{Append, DocumentChanges, DocumentStore as _, EventStore as _, Revision};
use factum_sql::{
    BoxError, Sql, SqlDatabase as _, SqlError, SqlProject, SqlProjection, TransactionWork,
};

use crate::adapter::{Options, Store};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "tally")]
enum TallyEvent {
    Added { amount: u64 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "tally", id = u64, event = TallyEvent)]
struct Tally;

impl Apply<TallyEvent> for Tally {
    fn apply(&mut self, _: &TallyEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Tally)]
struct Add {
    #[id]
    tally: u64,
    amount: u64,
}

impl Decide for Add {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Tally) -> Result<Events<TallyEvent>, Self::Error> {
        let amount = self.amount;
        Ok(TallyEvent::Added { amount }.into())
    }
}

fn few_retries() -> RetryPolicy {
    RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(|error| format!("{error}; ")).collect()
}

/// A write that a projection must not make, at the event with the amount 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Misuse {
    /// It executes a command, on another stream or on its own.
    Execute { tally: u64 },
    /// It executes a command in another task, and waits for it.
    Spawn,
    /// It appends, without an engine.
    Append,
    /// It runs a transaction of its own.
    Transaction,
    /// It changes a document.
    Document,
}

/// The writes that fail at once, with the error [`REJECTION`].
pub const REJECTED_AT_ONCE: [Misuse; 5] = [
    Misuse::Execute { tally: 1 },
    Misuse::Execute { tally: 2 },
    Misuse::Append,
    Misuse::Document,
    Misuse::Transaction,
];

/// A part of the error of a write that fails at once.
pub const REJECTION: &str = "a write inside of the projection \"misuse\" would wait for itself; \
                             use the `db` argument, or an event handler or a process manager";

/// Misuses an engine over the store of its own tables.
#[derive(Projection)]
#[projection(name = "misuse", events = TallyEvent)]
struct MisusesTheEngine {
    misuse: Misuse,
    engine: Arc<OnceLock<(Store, Engine)>>,
}

impl SqlProjection for MisusesTheEngine {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(
            "create table if not exists {added} (position bigint primary key, amount bigint)",
        )
        .await
    }
}

impl SqlProject<TallyEvent> for MisusesTheEngine {
    async fn project(
        &self,
        event: &Recorded<TallyEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let insert = db.query("insert into {added} (position, amount) values ($1, 1)");
        insert.bind(event.record.position).execute().await?;
        let (TallyEvent::Added { amount: 1 }, Some((store, engine))) =
            (&event.event, self.engine.get())
        else {
            return Ok(());
        };
        let command = |tally| Add { tally, amount: 100 };
        match self.misuse {
            Misuse::Execute { tally } => drop(engine.execute(command(tally)).await?),
            Misuse::Spawn => {
                let engine = engine.clone();
                tokio::spawn(async move { engine.execute(command(2)).await }).await??;
            }
            Misuse::Append => drop(store.append(Append::default()).await?),
            Misuse::Document => {
                let changes = DocumentChanges::new().put("own", "1");
                store.change_documents(changes).await?;
            }
            Misuse::Transaction => {
                let work: TransactionWork = Box::new(|_| Box::pin(async { Ok(Revision::ABSENT) }));
                store.transaction(work).await?;
            }
        }
        Ok(())
    }
}

/// The place at which the projection runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    Consumer,
    Append,
}

/// Runs a projection with `misuse` in a database without events, and returns its error.
pub async fn misuse(options: Options, misuse: Misuse, place: Place) -> String {
    let cell = Arc::new(OnceLock::new());
    let projection = || MisusesTheEngine {
        misuse,
        engine: cell.clone(),
    };
    let options = match place {
        Place::Consumer => options,
        Place::Append => options.inline(projection()),
    };
    let store = options.open().await.unwrap();
    let engine = Engine::new(store.clone());
    let builder = Runtime::builder(&engine).projection(store.read_model(projection()));
    let runtime = builder.retry(few_retries()).start().await.unwrap();
    let handle = runtime.projection::<MisusesTheEngine>().unwrap();
    handle.wait_until_current().await.unwrap();
    // The appends update a build from its promotion on.
    let mut status = handle.watch();
    let live = status.wait_for(|status| status.state == ConsumerState::Live);
    live.await.unwrap();
    cell.set((store.clone(), engine.clone())).ok();
    let add = |tally, amount| engine.execute(Add { tally, amount }).into_future();
    let executed = add(1, 1).await;
    let error = match place {
        Place::Append => chain(&executed.unwrap_err()),
        Place::Consumer => {
            let wait = handle.wait_for(executed.unwrap().position());
            wait.await.unwrap();
            let letters = handle.dead_letters().await.unwrap();
            match &letters[0].state {
                DeadLetterState::Failed { error, .. } => error.clone(),
                other => panic!("{other:?}"),
            }
        }
    };
    // Every other writer can still write.
    let last = add(3, 2).await.unwrap();
    handle.wait_for(last.position()).await.unwrap();
    runtime.stop().await;
    store.close().await;
    error
}
