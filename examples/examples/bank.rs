//! One account, two, and a rule over many: `cargo run --example bank`.
//!
//! The bank itself stands in `src/bank.rs`; the tutorial builds it step by step.

use factum::prelude::*;
use factum_examples::bank::{
    Account, AccountEvent, AccountId, Close, Deposit, Open, Transfer, Withdraw,
};
use factum_examples::say;
use factum_memory::MemoryStore;
use tokio::task::JoinSet;

const ADA: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let engine = Engine::new(MemoryStore::new());
    one_account(&engine).await?;
    two_accounts(&engine).await?;
    a_rule_over_many_accounts(&engine).await?;
    a_hundred_at_once(&engine).await?;
    asked_twice(&engine).await
}

async fn one_account(engine: &Engine) -> anyhow::Result<()> {
    say!("One account");
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
    tell(
        "Ada withdraws 130",
        engine.execute(withdraw).by("ada").await,
    )?;
    let withdraw = Withdraw {
        account,
        amount: 30,
    };
    tell("Ada withdraws 30", engine.execute(withdraw).by("ada").await)?;
    balances(engine).await
}

async fn two_accounts(engine: &Engine) -> anyhow::Result<()> {
    say!("\nTwo accounts, one decision");
    open(engine, BOB, "Bob").await?;
    let transfer = Transfer {
        from: ADA,
        to: BOB,
        amount: 50,
    };
    tell("Ada gives Bob 50", engine.execute(transfer).by("ada").await)?;
    let transfer = Transfer {
        from: ADA,
        to: BOB,
        amount: 50,
    };
    tell(
        "Ada gives Bob 50 again",
        engine.execute(transfer).by("ada").await,
    )?;
    let transfer = Transfer {
        from: ADA,
        to: ADA,
        amount: 10,
    };
    tell(
        "Ada gives herself 10",
        engine.execute(transfer).by("ada").await,
    )?;
    balances(engine).await
}

async fn a_rule_over_many_accounts(engine: &Engine) -> anyhow::Result<()> {
    say!("\nA customer has three accounts at most: Cleo asks for twenty, all at once");
    let mut tasks = JoinSet::new();
    for number in 100..120 {
        let (account, customer) = (AccountId(number), "Cleo".to_owned());
        let engine = engine.clone();
        tasks.spawn(async move { engine.execute(Open { account, customer }).await });
    }
    let (opened, rejected) = count(tasks).await?;
    say!("  opened: {opened}, rejected: {rejected}");
    Ok(())
}

async fn a_hundred_at_once(engine: &Engine) -> anyhow::Result<()> {
    say!("\nBob has 500, and a hundred cards that withdraw 10 each, all at once");
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
    say!("  paid: {paid}, rejected: {rejected}");
    let withdrawn = engine.history::<Account>(&account).await?;
    let withdrawn = withdrawn
        .iter()
        .filter(|event| matches!(event.event, AccountEvent::Withdrawn { .. }));
    say!("  withdrawals in the history: {}", withdrawn.count());
    balances(engine).await
}

async fn asked_twice(engine: &Engine) -> anyhow::Result<()> {
    say!("\nA request that was answered, but the answer was lost");
    let deposit = Deposit {
        account: BOB,
        amount: 20,
    };
    let first = engine
        .execute(deposit.clone())
        .idempotency_key("request-7")
        .await?;
    let again = engine.execute(deposit).idempotency_key("request-7").await?;
    say!(
        "  second answer is the first: {}",
        again.repeated() && again.events() == first.events()
    );
    let other = Deposit {
        account: BOB,
        amount: 2000,
    };
    match engine.execute(other).idempotency_key("request-7").await {
        Err(error @ ExecuteError::KeyReused { .. }) => say!("  another request: {error}"),
        other => anyhow::bail!("not what a used key should do: {other:?}"),
    }
    tell(
        "Bob closes his account",
        engine.execute(Close { account: BOB }).by("bob").await,
    )?;
    balances(engine).await
}

async fn open(engine: &Engine, account: AccountId, customer: &str) -> anyhow::Result<()> {
    let customer = customer.to_owned();
    tell(
        &format!("{customer} opens account {account}"),
        engine.execute(Open { account, customer }).await,
    )
}

/// A rejection is an answer, and so is that a command makes no sense; anything else is an error.
fn tell<E>(what: &str, answer: Result<Receipt, ExecuteError<E>>) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(receipt) => say!("  {what}: done, events: {}", receipt.events().len()),
        Err(ExecuteError::Rejected(rejection)) => say!("  {what}: rejected, {rejection}"),
        Err(error @ ExecuteError::DuplicateStream { .. }) => {
            say!("  {what}: not possible, {error}")
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// How many commands were executed, and how many rejected.
async fn count<E>(
    mut tasks: JoinSet<Result<Receipt, ExecuteError<E>>>,
) -> anyhow::Result<(u32, u32)>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let (mut done, mut rejected) = (0, 0);
    while let Some(answer) = tasks.join_next().await {
        match answer? {
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
    say!("  balances: Ada {}, Bob {}", ada.balance, bob.balance);
    Ok(())
}
