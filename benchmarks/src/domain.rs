//! The measured domain: the accounts of the harness, with and without snapshots.

/// Defines an account with its own category.
macro_rules! account {
    ($name:ident, $category:literal $(, $snapshot:meta)?) => {
        pub mod $name {
            use benchmark_harness::NOTE;
            use factum::prelude::*;

            #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[event(prefix = $category)]
            pub enum AccountEvent {
                Deposited { amount: u64, note: String },
            }

            #[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
            #[aggregate(category = $category, id = u64, event = AccountEvent $(, $snapshot)?)]
            pub struct Account {
                pub balance: u64,
            }

            impl Apply<AccountEvent> for Account {
                fn apply(&mut self, event: &AccountEvent) {
                    let AccountEvent::Deposited { amount, .. } = event;
                    self.balance += amount;
                }
            }

            #[derive(Debug, Clone, PartialEq, thiserror::Error)]
            #[error("the balance overflows")]
            pub struct Overflow;

            fn deposited(account: &Account, count: usize) -> Result<Events<AccountEvent>, Overflow> {
                account.balance.checked_add(count as u64).ok_or(Overflow)?;
                let event = || AccountEvent::Deposited { amount: 1, note: NOTE.to_owned() };
                Ok(std::iter::repeat_with(event).take(count).collect())
            }

            #[derive(Command, Debug, Clone, Serialize, Deserialize)]
            #[command(on = Account)]
            pub struct Deposit {
                #[id]
                pub account: u64,
                pub count: usize,
            }

            impl Decide for Deposit {
                type Error = Overflow;
                fn decide(&self, account: &Account) -> Result<Events<AccountEvent>, Overflow> {
                    deposited(account, self.count)
                }
            }

            #[derive(Command, Debug, Clone, Serialize, Deserialize)]
            #[command(on = (Account, Account))]
            pub struct Transfer {
                #[id]
                pub from: u64,
                #[id]
                pub to: u64,
            }

            impl Decide for Transfer {
                type Error = Overflow;
                fn decide(
                    &self,
                    (from, to): (&Account, &Account),
                ) -> Result<(Events<AccountEvent>, Events<AccountEvent>), Overflow> {
                    Ok((deposited(from, 1)?, deposited(to, 1)?))
                }
            }

            /// Counts events.
            #[derive(Projection, Default)]
            #[projection(name = $category, events = AccountEvent)]
            pub struct HotCounter {
                pub events: usize,
            }

            impl Project<AccountEvent> for HotCounter {
                fn project(&mut self, _: &Recorded<AccountEvent>) {
                    self.events += 1;
                }
            }
        }
    };
}

account!(plain, "account");
account!(snapshotted, "saver", snapshot(every = 10));
