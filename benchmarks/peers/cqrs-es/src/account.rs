use benchmark_harness::NOTE;
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deposited {
    amount: u64,
    note: String,
}

impl DomainEvent for Deposited {
    fn event_type(&self) -> String {
        "Deposited".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Account {
    pub balance: u64,
}

/// Emits `events` deposits.
pub struct Deposit {
    pub events: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("the balance overflows")]
pub struct Overflow;

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Deposit;
    type Event = Deposited;
    type Error = Overflow;
    type Services = ();

    async fn handle(
        &mut self,
        command: Deposit,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Overflow> {
        self.balance
            .checked_add(command.events as u64)
            .ok_or(Overflow)?;
        // A snapshot store applies the committed events to `self` again, so writing them to `self` would
        // count them twice.
        let mut after = self.clone();
        for _ in 0..command.events {
            let event = Deposited {
                amount: 1,
                note: NOTE.to_owned(),
            };
            sink.write(event, &mut after).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Deposited) {
        self.balance += event.amount;
    }
}
