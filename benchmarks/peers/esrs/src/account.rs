use benchmark_harness::NOTE;
use esrs::Aggregate;
use serde::{Deserialize, Serialize};

pub struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deposited {
    amount: u64,
    note: String,
}

/// Emits `events` deposits.
pub struct Deposit {
    pub events: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("the balance overflows")]
pub struct Overflow;

impl Aggregate for Account {
    const NAME: &'static str = "account";
    type State = u64;
    type Command = Deposit;
    type Event = Deposited;
    type Error = Overflow;

    fn handle_command(balance: &u64, command: Deposit) -> Result<Vec<Deposited>, Overflow> {
        balance.checked_add(command.events as u64).ok_or(Overflow)?;
        let event = Deposited {
            amount: 1,
            note: NOTE.to_owned(),
        };
        Ok(vec![event; command.events])
    }

    fn apply_event(balance: u64, event: Deposited) -> u64 {
        balance + event.amount
    }
}
