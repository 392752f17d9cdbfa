//! Projections and ids of every shape.

use std::str::FromStr;

use factum::Id;
use factum::prelude::*;
use uuid::Uuid;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Event, Serialize, Deserialize)]
enum LedgerEvent {
    Booked,
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent)]
struct OpenAccounts {
    count: u64,
}

#[derive(Projection)]
#[projection(name = "ledger.totals", version = 3, events = (AccountEvent, LedgerEvent), crate = factum)]
struct Totals(u64, u64);

#[derive(Projection)]
#[projection(events = LedgerEvent)]
struct Unit;

#[derive(Projection)]
#[projection(events = LedgerEvent)]
enum Either {
    This,
    That,
}

impl Project<AccountEvent> for OpenAccounts {
    fn project(&mut self, _: &Recorded<AccountEvent>) {
        self.count += 1;
    }
}

impl Project<AccountEvent> for Totals {
    fn project(&mut self, _: &Recorded<AccountEvent>) {
        self.0 += 1;
    }
}

impl Project<LedgerEvent> for Totals {
    fn project(&mut self, _: &Recorded<LedgerEvent>) {
        self.1 += 1;
    }
}

#[derive(Id, Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct SpecId(Uuid);

#[derive(Id, Debug, PartialEq)]
#[id(crate = factum)]
struct Slug(pub String);

fn main() {
    assert_eq!(
        (OpenAccounts::NAME, OpenAccounts::VERSION),
        ("open_accounts", 1)
    );
    assert_eq!((Totals::NAME, Totals::VERSION), ("ledger.totals", 3));
    assert_eq!((Unit::NAME, Either::NAME), ("unit", "either"));
    let _ = (Either::This, Either::That, Totals(0, 0), Unit);
    let _ = InMemory::<OpenAccounts>::new();

    let id = SpecId::from(Uuid::nil());
    assert_eq!(SpecId::from_str(&id.to_string()), Ok(id));
    assert_eq!(Uuid::from(id), Uuid::nil());
    assert_eq!("a".parse(), Ok(Slug("a".into())));
}
