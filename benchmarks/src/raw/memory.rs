//! The cost of the commands of `distinct` in one hand-written function.
//!
//! It has no queue, retries or tracing, and provides neither reads nor receipts.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use benchmark_harness::NOTE;
use serde::Serialize;
use uuid::{Builder, Uuid};

use super::Rate;

const ACCOUNTS: u64 = 4_096;
const PRIOR: u64 = 10;

#[derive(Serialize)]
struct Deposited {
    amount: u64,
    note: String,
}

/// A stored event.
struct Record {
    stream: String,
    version: u64,
    name: &'static str,
    id: Uuid,
    correlation: Uuid,
    actor: String,
    recorded_at: SystemTime,
    data: Vec<u8>,
}

#[derive(Default)]
struct RawAccount {
    version: u64,
    balance: u64,
}

#[derive(Default)]
struct RawBank {
    accounts: HashMap<String, RawAccount>,
    events: Vec<Record>,
}

/// Checks the balance, applies the event, encodes it, and stores it with its metadata.
fn deposit(bank: &Mutex<RawBank>, account: u64, actor: &str) -> Result<u64> {
    let (now, stream) = (SystemTime::now(), format!("account-{account}"));
    let mut bank = bank.lock().ok().context("the lock is poisoned")?;
    let bank = &mut *bank;
    let account = bank.accounts.entry(stream.clone()).or_default();
    let balance = account
        .balance
        .checked_add(1)
        .context("the balance overflows")?;
    let event = Deposited {
        amount: 1,
        note: NOTE.to_owned(),
    };
    account.balance = balance;
    account.version += 1;
    bank.events.push(Record {
        stream,
        version: account.version,
        name: "account.deposited",
        id: id(now)?,
        correlation: id(now)?,
        actor: actor.to_owned(),
        recorded_at: now,
        data: serde_json::to_vec(&event)?,
    });
    Ok(bank.events.len() as u64)
}

fn id(now: SystemTime) -> Result<Uuid> {
    let millis = now.duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let mut random = [0; 10];
    random[..8].copy_from_slice(&fastrand::u64(..).to_be_bytes());
    Ok(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

/// Deposits sequentially over the accounts of `distinct`.
pub fn by_hand(duration: Duration) -> Result<Rate> {
    let bank = Mutex::new(RawBank::default());
    for account in 0..ACCOUNTS * PRIOR {
        deposit(&bank, account % ACCOUNTS, "alice")?;
    }
    let mut latencies = Vec::new();
    let begin = Instant::now();
    for turn in 1.. {
        let started = Instant::now();
        if started - begin >= duration {
            break;
        }
        deposit(&bank, turn % ACCOUNTS, "alice")?;
        // Each deposit is timed, as the harness times each command.
        latencies.push(started.elapsed());
    }
    let elapsed = begin.elapsed();
    let bank = bank.into_inner()?;
    let bytes: usize = bank.events.iter().map(size).sum();
    ensure!(bytes > latencies.len(), "nothing was stored");
    Ok(Rate {
        rows: latencies.len(),
        elapsed,
    })
}

fn size(record: &Record) -> usize {
    let ids = [record.id, record.correlation].map(|id| id.as_bytes().len());
    let texts = record.stream.len() + record.name.len() + record.actor.len();
    let times = record.recorded_at.elapsed().map_or(0, |_| 8) + usize::from(record.version > 0);
    ids[0] + ids[1] + texts + times + record.data.len()
}
