use benchmark_harness::{Bank, Scenario, anyhow::Result};
use disintegrate::{
    DecisionError, DecisionMaker, EventSourcedStateStore, LoadState, PersistDecision,
    PersistedEvent, SnapshotConfig,
};
use disintegrate_postgres::{Error, PgEventId};
use sqlx::PgPool;

use crate::{
    decision::{Account, BankEvent, Deposit, Overflow, Store, Transfer},
    listener,
};

type States<S> = EventSourcedStateStore<PgEventId, BankEvent, Store, S>;
type Decided = Result<Vec<PersistedEvent<PgEventId, BankEvent>>, DecisionError<Overflow>>;

pub struct DisintegrateBank<S: SnapshotConfig + Clone> {
    pool: PgPool,
    store: Store,
    states: States<S>,
    decisions: DecisionMaker<States<S>>,
    tuning: String,
}

impl<S: SnapshotConfig + Clone> DisintegrateBank<S> {
    pub fn new(pool: PgPool, store: Store, snapshots: S, tuning: &str) -> Self {
        let states = EventSourcedStateStore::new(store.clone(), snapshots);
        let decisions = DecisionMaker::new(states.clone());
        let tuning = tuning.to_owned();
        Self {
            pool,
            store,
            states,
            decisions,
            tuning,
        }
    }
}

/// Returns whether the decision succeeded, and `false` on a conflict that needs a retry.
fn made(decided: Decided) -> Result<bool> {
    match decided {
        Ok(_) => Ok(true),
        Err(error) if is_conflict(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl<S> Bank for DisintegrateBank<S>
where
    S: SnapshotConfig + Clone + Send + Sync + 'static,
    States<S>: LoadState<PgEventId, Account, BankEvent>
        + LoadState<PgEventId, (Account, Account), BankEvent>
        + PersistDecision<PgEventId, Account, BankEvent>
        + PersistDecision<PgEventId, (Account, Account), BankEvent>,
{
    const SIDE: &'static str = "disintegrate 4.0.0";

    fn note(&self, scenario: Scenario) -> String {
        let more = match scenario {
            Scenario::CatchUp => "; listener with one fetch of everything",
            _ => "; retries on conflict and on serialization failure",
        };
        format!("{}{more}", self.tuning)
    }

    async fn deposit(&self, account: u64, events: usize) -> Result<()> {
        let account = &name(account);
        while !made(self.decisions.make(Deposit { account, events }).await)? {}
        Ok(())
    }

    async fn transfer(&self, from: u64, to: u64) -> Result<()> {
        let (from, to) = (&name(from), &name(to));
        while !made(self.decisions.make(Transfer { from, to }).await)? {}
        Ok(())
    }

    async fn load(&self, account: u64) -> Result<u64> {
        let loaded = self.states.load(Account::new(&name(account))).await;
        let loaded = loaded.map_err(benchmark_harness::anyhow::Error::from_boxed)?;
        Ok(loaded.state().balance)
    }

    async fn catch_up(&self, events: usize) -> Result<usize> {
        listener::count(self.store.clone(), events).await
    }

    async fn settle(&self) -> Result<()> {
        sqlx::query("VACUUM ANALYZE").execute(&self.pool).await?;
        Ok(())
    }

    /// Returns 1, because parallel tasks would cause each other's serialization failures.
    fn preparers(&self) -> usize {
        1
    }
}

/// Returns whether the error is a conflict.
///
/// Under SERIALIZABLE any statement can fail because of another transaction, but `disintegrate` only reports
/// a conflict at the commit.
fn is_conflict(error: &DecisionError<Overflow>) -> bool {
    let (DecisionError::StateStore(source) | DecisionError::EventStore(source)) = error else {
        return false;
    };
    match source.downcast_ref() {
        Some(Error::Concurrency) => true,
        Some(Error::Database(sqlx::Error::Database(error))) => {
            matches!(error.code().as_deref(), Some("40001" | "40P01"))
        }
        _ => false,
    }
}

fn name(account: u64) -> String {
    format!("account-{account}")
}
