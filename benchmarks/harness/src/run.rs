//! The scenarios with their preparation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use crate::{
    Args, Bank, Scenario,
    drive::{Measured, drive},
    report::{reject, report},
};

const ACCOUNTS: u64 = 4096;
const PRIOR: usize = 10;
/// The number of events per command during the preparation.
const BATCH: usize = 1000;

/// Prepares and measures a scenario, and returns the line to print.
///
/// # Errors
///
/// Fails if there are more callers than pairs of accounts, if the framework fails, or if a balance does
/// not match the commands.
pub async fn run<B: Bank>(args: &Args, bank: B) -> Result<String> {
    let pairs = ACCOUNTS as usize / 2;
    ensure!(
        (1..=pairs).contains(&args.callers),
        "invalid number of callers: {}; expected 1 to {pairs}",
        args.callers
    );
    if let Some(reason) = bank.unsupported(args) {
        return Ok(reject(B::SIDE, args, reason));
    }
    let bank = Arc::new(bank);
    match args.scenario {
        Scenario::Distinct => distinct(args, bank).await,
        Scenario::Hot => hot(args, bank).await,
        Scenario::Transfer => transfer(args, bank).await,
        Scenario::Append => append(args, bank).await,
        Scenario::Load | Scenario::LoadSnapshot => load(args, bank).await,
        Scenario::CatchUp | Scenario::CatchUpTable => catch_up(args, bank).await,
        Scenario::Growth => growth(args, bank).await,
    }
}

async fn distinct<B: Bank>(args: &Args, bank: Arc<B>) -> Result<String> {
    prepare(&bank, ACCOUNTS, PRIOR).await?;
    let callers = args.callers as u64;
    let (note, own) = (bank.note(args.scenario), ACCOUNTS / callers);
    let measured = drive(args.callers, args.duration(), move |caller, turn| {
        let bank = bank.clone();
        async move { bank.deposit(caller + turn % own * callers, 1).await }
    });
    Ok(finish::<B>(args, measured.await?, note))
}

/// Measures the hot account, and adds a note if acknowledged deposits are missing.
async fn hot<B: Bank>(args: &Args, bank: Arc<B>) -> Result<String> {
    prepare(&bank, 1, PRIOR).await?;
    let callers = args.callers;
    let depositor = bank.clone();
    let measured = drive(callers, args.duration(), move |_, _| {
        let bank = depositor.clone();
        async move { bank.deposit(0, 1).await }
    });
    let measured = measured.await?;
    let acknowledged = (PRIOR + callers + measured.latencies.len()) as u64;
    let balance = bank.load(0).await?;
    let mut note = bank.note(args.scenario);
    if balance != acknowledged {
        note += &format!("; {acknowledged} deposits acknowledged, {balance} found");
    }
    Ok(finish::<B>(args, measured, note))
}

async fn transfer<B: Bank>(args: &Args, bank: Arc<B>) -> Result<String> {
    prepare(&bank, ACCOUNTS, PRIOR).await?;
    let callers = args.callers as u64;
    let (note, own) = (bank.note(args.scenario), ACCOUNTS / 2 / callers);
    let measured = drive(args.callers, args.duration(), move |caller, turn| {
        let (bank, pair) = (bank.clone(), caller + turn % own * callers);
        async move { bank.transfer(2 * pair, 2 * pair + 1).await }
    });
    Ok(finish::<B>(args, measured.await?, note))
}

async fn append<B: Bank>(args: &Args, bank: Arc<B>) -> Result<String> {
    bank.settle().await?;
    let (callers, size) = (args.callers as u64, args.size.max(1));
    let note = bank.note(args.scenario);
    let measured = drive(args.callers, args.duration(), move |caller, turn| {
        let bank = bank.clone();
        async move { bank.deposit(caller + turn * callers, size).await }
    });
    Ok(finish::<B>(args, measured.await?, note))
}

async fn load<B: Bank>(args: &Args, bank: Arc<B>) -> Result<String> {
    let accounts = if args.size < 10_000 { 64 } else { 4 };
    prepare(&bank, accounts, args.size).await?;
    // The first load may store the snapshot.
    for account in 0..accounts {
        bank.load(account).await?;
    }
    let (callers, size) = (args.callers as u64, args.size as u64);
    let note = bank.note(args.scenario);
    let measured = drive(args.callers, args.duration(), move |caller, turn| {
        let bank = bank.clone();
        async move {
            let balance = bank.load((caller + turn * callers) % accounts).await?;
            ensure!(
                balance == size,
                "wrong balance after {size} deposits: {balance}"
            );
            Ok(())
        }
    });
    Ok(finish::<B>(args, measured.await?, note))
}

async fn catch_up<B: Bank>(args: &Args, bank: Arc<B>) -> Result<String> {
    prepare(&bank, (args.size as u64).div_ceil(100), 100).await?;
    let args = Args {
        callers: 1,
        ..args.clone()
    };
    let events = args.size.div_ceil(100) * 100;
    let begin = Instant::now();
    let handled = match args.scenario {
        Scenario::CatchUpTable => bank.catch_up_table(events).await?,
        _ => bank.catch_up(events).await?,
    };
    let elapsed = begin.elapsed();
    ensure!(handled == events, "{handled} of {events} events handled");
    let measured = Measured {
        count: handled,
        latencies: vec![elapsed],
    };
    Ok(report::<B>(
        &args,
        measured,
        elapsed.as_secs_f64(),
        bank.note(args.scenario),
    ))
}

async fn growth<B: Bank>(args: &Args, bank: Arc<B>) -> Result<String> {
    prepare(&bank, (args.size as u64).div_ceil(100), 100).await?;
    let note = bank.note(args.scenario);
    let measured = drive(args.callers, args.duration(), move |caller, turn| {
        let bank = bank.clone();
        async move { bank.deposit((caller + turn) % 10, 1).await }
    });
    Ok(finish::<B>(args, measured.await?, note))
}

fn finish<B: Bank>(args: &Args, measured: Measured, note: String) -> String {
    report::<B>(args, measured, args.duration().as_secs_f64(), note)
}

/// Stores `events` events on each of the accounts.
async fn prepare<B: Bank>(bank: &Arc<B>, accounts: u64, events: usize) -> Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..bank.preparers() {
        let (bank, next) = (bank.clone(), next.clone());
        tasks.spawn(async move {
            loop {
                let account = next.fetch_add(1, Ordering::Relaxed);
                if account >= accounts {
                    return anyhow::Ok(());
                }
                for begin in (0..events).step_by(BATCH) {
                    bank.deposit(account, BATCH.min(events - begin)).await?;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done?.context("cannot prepare the accounts")?;
    }
    bank.settle().await
}
