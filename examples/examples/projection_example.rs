//! Two read models of the bank, one in memory and one in SQLite: `cargo run --example projection_example`.
//!
//! The bank itself is in `src/bank.rs`; the tutorial builds it step by step.

use factum::prelude::*;
use factum::runtime::StartError;
use factum_examples::bank::{AccountEvent, AccountId, Deposit, Open, Transfer};
use factum_examples::outln;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};

// In memory: simple and fast, but filled from the first event at every start.

/// The number of accounts and the total balance of the bank.
#[derive(Projection, Default)]
#[projection(name = "totals", events = AccountEvent)]
struct Totals {
    accounts: u32,
    money: u64,
}

impl Project<AccountEvent> for Totals {
    fn project(&mut self, event: &Recorded<AccountEvent>) {
        match &event.event {
            AccountEvent::Opened { .. } => self.accounts += 1,
            AccountEvent::Deposited { amount } => self.money += amount,
            AccountEvent::Withdrawn { amount } => self.money -= amount,
            AccountEvent::Closed { .. } => self.accounts -= 1,
        }
    }
}

// In a table of the same database: the read model survives a restart, and can be queried with SQL.

/// A table with a row for every deposit and withdrawal.
#[derive(Projection)]
#[projection(name = "statement", version = 1, events = AccountEvent)]
struct Statement;

impl SqlProjection for Statement {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(
            "create table if not exists {statement} (
                 position bigint primary key,
                 account text not null,
                 amount bigint not null,
                 by text not null)",
        )
        .await
    }
}

impl SqlProject<AccountEvent> for Statement {
    async fn project(
        &self,
        event: &Recorded<AccountEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let amount = match &event.event {
            AccountEvent::Deposited { amount } => i64::try_from(*amount)?,
            AccountEvent::Withdrawn { amount } => -i64::try_from(*amount)?,
            AccountEvent::Opened { .. } | AccountEvent::Closed { .. } => return Ok(()),
        };
        let record = &event.record;
        let insert =
            "insert into {statement} (position, account, amount, by) values ($1, $2, $3, $4)";
        db.query(insert)
            .bind(record.position)
            .bind(record.stream.key())
            .bind(amount)
            .bind(record.metadata.actor.as_deref().unwrap_or("nobody"))
            .execute()
            .await?;
        Ok(())
    }
}

const ADA: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path().join("bank.db")).await?;
    let engine = Engine::new(store.clone());

    outln!("Ada and Bob open accounts, and Ada deposits 100. No projection is running yet.");
    for (account, customer) in [(ADA, "Ada"), (BOB, "Bob")] {
        let customer = customer.to_owned();
        engine
            .execute(Open { account, customer })
            .by("the bank")
            .await?;
    }
    engine
        .execute(Deposit {
            account: ADA,
            amount: 100,
        })
        .by("ada")
        .await?;

    outln!("The projections start and catch up. Then Ada transfers 30 to Bob.");
    let totals = InMemory::<Totals>::new();
    let runtime = start(&engine, &store, &totals).await?;
    let transfer = Transfer {
        from: ADA,
        to: BOB,
        amount: 30,
    };
    // Without `and_wait`, the read models might not contain the transfer yet.
    let execute = engine.execute(transfer).by("ada");
    let receipt = execute.and_wait(&runtime).await?;
    show(&totals, &store).await?;
    show_status(&runtime);

    outln!("\nThe statement is rebuilt from the first event, with the same result.");
    let before = statement(&store).await?;
    let statement_projection = runtime.projection::<Statement>()?;
    statement_projection.rebuild().await?;
    statement_projection.wait_for(receipt.position()).await?;
    outln!("  same rows: {}", statement(&store).await? == before);

    outln!("\nThe projections stop. Bob deposits 50, and the projections start again.");
    outln!("The table continues at its checkpoint, the model in memory at the first event.");
    runtime.stop().await;
    let receipt = engine
        .execute(Deposit {
            account: BOB,
            amount: 50,
        })
        .by("bob")
        .await?;
    let totals = InMemory::<Totals>::new();
    let runtime = start(&engine, &store, &totals).await?;
    runtime.wait_for(receipt.position()).await?;
    show(&totals, &store).await?;

    runtime.stop().await;
    store.close().await;
    Ok(())
}

async fn start(
    engine: &Engine,
    store: &SqliteStore,
    totals: &InMemory<Totals>,
) -> Result<Runtime, StartError> {
    Runtime::builder(engine)
        .projection(totals.clone())
        .projection(store.read_model(Statement))
        .start()
        .await
}

async fn show(totals: &InMemory<Totals>, store: &SqliteStore) -> anyhow::Result<()> {
    let (accounts, money) = totals.read(|totals| (totals.accounts, totals.money));
    outln!("  totals: {accounts} accounts, {money} in total");
    for (position, account, amount, by) in statement(store).await? {
        outln!("  statement: event {position}, account {account}, {amount:+} by {by}");
    }
    Ok(())
}

fn show_status(runtime: &Runtime) {
    for status in runtime.status() {
        let (state, position, lag) = (status.state, status.position, status.lag());
        outln!(
            "  {} is {state:?} at position {position}, {lag} behind",
            status.name
        );
    }
}

type Row = (i64, String, i64, String);

async fn statement(store: &SqliteStore) -> Result<Vec<Row>, SqlError> {
    let sql = "select position, account, amount, by from statement order by position";
    store.query(sql).fetch_all().await
}
