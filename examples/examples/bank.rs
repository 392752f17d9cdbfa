//! Commands on one account, on two, and with a rule over many: `cargo run --example bank`.
//!
//! The bank itself is in `src/bank.rs`; the tutorial builds it step by step.

use factum::prelude::*;
use factum_examples::bank::{
    Account, AccountEvent, AccountId, Close, Deposit, Open, Transfer, Withdraw,
};
use factum_examples::outln;
use factum_memory::MemoryStore;
use tokio::task::JoinSet;

const ADA: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let engine = Engine::new(MemoryStore::new());
    one_account(&engine).await?;
    two_accounts(&engine).await?;
    rule_over_many_accounts(&engine).await?;
    concurrent_withdrawals(&engine).await?;
    repeated_request(&engine).await
}

async fn one_account(engine: &Engine) -> anyhow::Result<()> {
    outln!("One account");
    open(engine, ADA, "Ada").await?;
    let account = ADA;
    engine
        .execute(Deposit {
            account,
            amount: 100,
        })
        .by("ada")
        .await?;
    let withdraw = Withdraw {
        account,
        amount: 130,
    };
    print_result(
        "Ada withdraws 130",
        engine.execute(withdraw).by("ada").await,
    )?;
    let withdraw = Withdraw {
        account,
        amount: 30,
    };
    print_result("Ada withdraws 30", engine.execute(withdraw).by("ada").await)?;
    balances(engine).await
}

async fn two_accounts(engine: &Engine) -> anyhow::Result<()> {
    outln!("\nTwo accounts, one decision");
    open(engine, BOB, "Bob").await?;
    let transfer = Transfer {
        from: ADA,
        to: BOB,
        amount: 50,
    };
    print_result("Ada gives Bob 50", engine.execute(transfer).by("ada").await)?;
    let transfer = Transfer {
        from: ADA,
        to: BOB,
        amount: 50,
    };
    print_result(
        "Ada gives Bob 50 again",
        engine.execute(transfer).by("ada").await,
    )?;
    let transfer = Transfer {
        from: ADA,
        to: ADA,
        amount: 10,
    };
    print_result(
        "Ada gives herself 10",
        engine.execute(transfer).by("ada").await,
    )?;
    balances(engine).await
}

async fn rule_over_many_accounts(engine: &Engine) -> anyhow::Result<()> {
    outln!("\nA customer has at most three accounts: Cleo opens twenty concurrently");
    let mut tasks = JoinSet::new();
    for number in 100..120 {
        let (account, customer) = (AccountId(number), "Cleo".to_owned());
        let engine = engine.clone();
        tasks.spawn(async move { engine.execute(Open { account, customer }).await });
    }
    let (opened, rejected) = count(tasks).await?;
    outln!("  opened: {opened}, rejected: {rejected}");
    Ok(())
}

async fn concurrent_withdrawals(engine: &Engine) -> anyhow::Result<()> {
    outln!("\nBob has 500, and withdraws 10 with each of a hundred cards concurrently");
    let account = BOB;
    engine
        .execute(Deposit {
            account,
            amount: 450,
        })
        .await?;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let engine = engine.clone();
        tasks.spawn(async move {
            engine
                .execute(Withdraw {
                    account,
                    amount: 10,
                })
                .await
        });
    }
    let (paid, rejected) = count(tasks).await?;
    outln!("  paid: {paid}, rejected: {rejected}");
    let withdrawn = engine.history::<Account>(&account).await?;
    let withdrawn = withdrawn
        .iter()
        .filter(|event| matches!(event.event, AccountEvent::Withdrawn { .. }));
    outln!("  withdrawals in the history: {}", withdrawn.count());
    balances(engine).await
}

async fn repeated_request(engine: &Engine) -> anyhow::Result<()> {
    outln!("\nA repeated request after a lost response");
    let deposit = Deposit {
        account: BOB,
        amount: 20,
    };
    let first = engine
        .execute(deposit.clone())
        .idempotency_key("request-7")
        .await?;
    let again = engine.execute(deposit).idempotency_key("request-7").await?;
    outln!(
        "  the second response equals the first: {}",
        again.repeated() && again.events() == first.events()
    );
    let other = Deposit {
        account: BOB,
        amount: 2000,
    };
    match engine.execute(other).idempotency_key("request-7").await {
        Err(error @ ExecuteError::KeyReused { .. }) => {
            outln!("  another request with this key: {error}");
        }
        other => anyhow::bail!("unexpected result of a reused key: {other:?}"),
    }
    print_result(
        "Bob closes his account",
        engine.execute(Close { account: BOB }).by("bob").await,
    )?;
    balances(engine).await
}

async fn open(engine: &Engine, account: AccountId, customer: &str) -> anyhow::Result<()> {
    let customer = customer.to_owned();
    print_result(
        &format!("{customer} opens account {account}"),
        engine.execute(Open { account, customer }).await,
    )
}

/// Prints the result of a command.
///
/// A rejection and a duplicate stream are results; other errors are returned.
fn print_result<E>(action: &str, result: Result<Receipt, ExecuteError<E>>) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(receipt) => outln!("  {action}: done, events: {}", receipt.events().len()),
        Err(ExecuteError::Rejected(rejection)) => outln!("  {action}: rejected, {rejection}"),
        Err(error @ ExecuteError::DuplicateStream { .. }) => {
            outln!("  {action}: failed, {error}");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Counts the executed and the rejected commands.
async fn count<E>(
    mut tasks: JoinSet<Result<Receipt, ExecuteError<E>>>,
) -> anyhow::Result<(u32, u32)>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let (mut done, mut rejected) = (0, 0);
    while let Some(result) = tasks.join_next().await {
        match result? {
            Ok(_) => done += 1,
            Err(ExecuteError::Rejected(_)) => rejected += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((done, rejected))
}

async fn balances(engine: &Engine) -> anyhow::Result<()> {
    let (ada, bob) = (
        engine.load::<Account>(&ADA).await?,
        engine.load::<Account>(&BOB).await?,
    );
    outln!("  balances: Ada {}, Bob {}", ada.balance, bob.balance);
    Ok(())
}
