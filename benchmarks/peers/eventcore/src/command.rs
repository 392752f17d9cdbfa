use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use benchmark_harness::NOTE;
use eventcore::{
    Command, CommandError, CommandLogic, CommandStateSnapshotId, Event, NewEvents, StreamId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deposited {
    pub account: StreamId,
    pub amount: u64,
    pub note: String,
}

impl Deposited {
    fn one(account: &StreamId) -> Self {
        Self {
            account: account.clone(),
            amount: 1,
            note: NOTE.to_owned(),
        }
    }
}

impl Event for Deposited {
    fn stream_id(&self) -> &StreamId {
        &self.account
    }

    fn event_type_name() -> &'static str {
        "Deposited"
    }
}

/// Emits `events` deposits and stores the balance before them in `balance`.
///
/// With 0 events it only loads the state, because an empty append does not access the store.
#[derive(Command)]
pub struct Deposit {
    #[stream]
    pub account: StreamId,
    pub events: usize,
    pub snapshots: bool,
    pub balance: Arc<AtomicU64>,
}

impl CommandLogic for Deposit {
    type Event = Deposited;
    type State = u64;

    fn apply(&self, balance: u64, event: &Deposited) -> u64 {
        balance + event.amount
    }

    fn handle(&self, balance: u64) -> Result<NewEvents<Deposited>, CommandError> {
        let after = balance.checked_add(self.events as u64);
        after.ok_or_else(|| CommandError::from("the balance overflows"))?;
        self.balance.store(balance, Ordering::Relaxed);
        Ok(vec![Deposited::one(&self.account); self.events].into())
    }

    fn command_state_snapshot_id(&self) -> Option<CommandStateSnapshotId> {
        let id = || CommandStateSnapshotId::try_new(self.account.to_string());
        self.snapshots
            .then(|| id().expect("an account's name is short"))
    }

    fn serialize_command_state_snapshot(&self, balance: &u64) -> Result<Value, CommandError> {
        Ok(Value::from(*balance))
    }

    fn deserialize_command_state_snapshot(&self, state: Value) -> Result<u64, CommandError> {
        state
            .as_u64()
            .ok_or_else(|| CommandError::ValidationError("not a balance".to_owned()))
    }
}

/// Emits one deposit on each of two accounts, in one atomic append.
#[derive(Command)]
pub struct Transfer {
    #[stream]
    pub from: StreamId,
    #[stream]
    pub to: StreamId,
}

impl CommandLogic for Transfer {
    type Event = Deposited;
    type State = [u64; 2];

    fn apply(&self, mut balances: [u64; 2], event: &Deposited) -> [u64; 2] {
        balances[usize::from(event.account == self.to)] += event.amount;
        balances
    }

    fn handle(&self, balances: [u64; 2]) -> Result<NewEvents<Deposited>, CommandError> {
        if balances
            .iter()
            .any(|balance| balance.checked_add(1).is_none())
        {
            return Err("the balance overflows".into());
        }
        Ok(vec![Deposited::one(&self.from), Deposited::one(&self.to)].into())
    }
}
