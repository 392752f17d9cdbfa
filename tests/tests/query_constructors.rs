//! States of DCB queries that know their tag value: `query = Balance::of`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use factum::command::{DcbQuery, Folded, Queried};
use factum::engine::Receipt;
use factum::prelude::*;
use factum::store::Tag;
use factum_memory::MemoryStore;
use factum_testkit::given;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "booking")]
enum BookingEvent {
    Moved {
        #[tag("account")]
        from: String,
        #[tag("account")]
        to: String,
        amount: i64,
    },
}

use BookingEvent::Moved;

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "booking", id = u32, event = BookingEvent)]
struct Booking;

impl Apply<BookingEvent> for Booking {
    fn apply(&mut self, _: &BookingEvent) {}
}

/// The balance of one account. It has no default.
#[derive(Debug)]
struct Balance {
    account: String,
    amount: i64,
}

static PANICS: AtomicBool = AtomicBool::new(false);

impl Balance {
    fn of(account: &str) -> Self {
        let account = account.to_owned();
        Self { account, amount: 0 }
    }

    fn with_credit(account: &str) -> Self {
        let amount = 100;
        Self {
            amount,
            ..Self::of(account)
        }
    }
}

impl Apply<BookingEvent> for Balance {
    fn apply(&mut self, event: &BookingEvent) {
        let Moved { from, to, amount } = event;
        if *from == self.account {
            self.amount -= amount;
        }
        assert!(*amount != 13_013 || !PANICS.load(SeqCst), "unlucky");
        if *to == self.account {
            self.amount += amount;
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0:?}")]
struct Shows(Vec<i64>);

/// Moves an amount, if the source does not become negative. The source `bank` may.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Booking, query = (Balance::of as source, Balance::of as target))]
struct Transfer {
    #[id]
    number: u32,
    #[tag("account", source)]
    from: String,
    #[tag("account", target)]
    to: String,
    amount: i64,
}

impl Decide for Transfer {
    type Error = Shows;
    fn decide(
        &self,
        (_, (source, target)): (&Booking, (&Balance, &Balance)),
    ) -> Result<Events<BookingEvent>, Shows> {
        if self.from != "bank" && source.amount < self.amount {
            return Err(Shows(vec![source.amount, target.amount]));
        }
        let (from, to, amount) = (self.from.clone(), self.to.clone(), self.amount);
        Ok(Moved { from, to, amount }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Booking, query = Balance::of)]
struct Show {
    #[id]
    number: u32,
    #[tag]
    account: String,
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Booking, query(Balance::with_credit, events = BookingEvent::{Moved}))]
struct ShowCredit {
    #[id]
    number: u32,
    #[tag]
    account: String,
}

impl Decide for Show {
    type Error = Shows;
    fn decide(&self, (_, balance): (&Booking, &Balance)) -> Result<Events<BookingEvent>, Shows> {
        Err(Shows(vec![balance.amount]))
    }
}

impl Decide for ShowCredit {
    type Error = Shows;
    fn decide(&self, (_, balance): (&Booking, &Balance)) -> Result<Events<BookingEvent>, Shows> {
        Err(Shows(vec![balance.amount]))
    }
}

static CREATED: AtomicUsize = AtomicUsize::new(0);

/// The amounts that were moved between two accounts, with a hand-written command.
#[derive(Debug)]
struct Moves {
    from: String,
    to: String,
    amounts: Vec<i64>,
}

impl Apply<BookingEvent> for Moves {
    fn apply(&mut self, event: &BookingEvent) {
        let Moved { from, to, amount } = event;
        if *from == self.from && *to == self.to {
            self.amounts.push(*amount);
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct ShowMoves {
    number: u32,
    from: String,
    to: String,
}

impl Command for ShowMoves {
    const NAME: &'static str = "ShowMoves";
    type On = Queried<Booking, Folded<Moves, BookingEvent>>;

    fn target(&self) -> (&u32, DcbQuery<Moves>) {
        let (from, to) = (self.from.clone(), self.to.clone());
        let tags = [&from, &to].map(|account| Tag::new("account", account));
        let start = move || {
            CREATED.fetch_add(1, SeqCst);
            let (from, to) = (from.clone(), to.clone());
            Moves {
                from,
                to,
                amounts: Vec::new(),
            }
        };
        (&self.number, DcbQuery::start_with(tags, start))
    }
}

impl Decide for ShowMoves {
    type Error = Shows;
    fn decide(&self, (_, moves): (&Booking, &Moves)) -> Result<Events<BookingEvent>, Shows> {
        Err(Shows(moves.amounts.clone()))
    }
}

fn transfer(number: u32, from: &str, to: &str, amount: i64) -> Transfer {
    let (from, to) = (from.to_owned(), to.to_owned());
    Transfer {
        number,
        from,
        to,
        amount,
    }
}

fn rejection(result: Result<Receipt, ExecuteError<Shows>>) -> Vec<i64> {
    match result {
        Err(ExecuteError::Rejected(Shows(amounts))) => amounts,
        other => panic!("{other:?}"),
    }
}

async fn balance(engine: &Engine, account: &str) -> Vec<i64> {
    let account = account.to_owned();
    rejection(
        engine
            .execute(Show {
                number: 99,
                account,
            })
            .await,
    )
}

async fn balance_with_credit(engine: &Engine, account: &str) -> Vec<i64> {
    let account = account.to_owned();
    rejection(
        engine
            .execute(ShowCredit {
                number: 99,
                account,
            })
            .await,
    )
}

#[tokio::test]
async fn state_knows_the_value_of_its_tag() {
    let engine = Engine::new(MemoryStore::new());
    engine
        .execute(transfer(1, "bank", "ada", 50))
        .await
        .unwrap();
    engine.execute(transfer(2, "ada", "bob", 20)).await.unwrap();
    let rejected = engine.execute(transfer(3, "ada", "bob", 40)).await;
    assert_eq!(rejection(rejected), [30, 20]);
    assert_eq!(balance(&engine, "ada").await, [30]);
    assert_eq!(balance(&engine, "bob").await, [20]);
    assert_eq!(balance(&engine, "bank").await, [-50]);
    engine.execute(transfer(4, "ada", "ada", 5)).await.unwrap();
    assert_eq!(balance(&engine, "ada").await, [30]);
}

#[tokio::test]
async fn constructors_do_not_share_a_state() {
    let engine = Engine::new(MemoryStore::new());
    engine
        .execute(transfer(1, "bank", "ada", 50))
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(balance(&engine, "ada").await, [50]);
        assert_eq!(balance_with_credit(&engine, "ada").await, [150]);
    }
}

#[tokio::test]
async fn state_begins_with_its_constructor_after_a_panic() {
    let store = MemoryStore::new();
    let (engine, elsewhere) = (Engine::new(store.clone()), Engine::new(store));
    elsewhere
        .execute(transfer(1, "bank", "ada", 13_013))
        .await
        .unwrap();
    PANICS.store(true, SeqCst);
    let failed = {
        let engine = engine.clone();
        tokio::spawn(async move { balance_with_credit(&engine, "ada").await })
    };
    assert!(failed.await.unwrap_err().is_panic());
    PANICS.store(false, SeqCst);
    assert_eq!(balance_with_credit(&engine, "ada").await, [13_113]);
}

#[tokio::test]
async fn hand_written_command_passes_a_start_state() {
    let engine = Engine::new(MemoryStore::new());
    for (number, from, to) in [(1, "bank", "ada"), (2, "bank", "bob"), (3, "ada", "bob")] {
        engine.execute(transfer(number, from, to, 1)).await.unwrap();
    }
    let (from, to) = ("bank".to_owned(), "bob".to_owned());
    let show = ShowMoves {
        number: 9,
        from,
        to,
    };
    assert_eq!(rejection(engine.execute(show.clone()).await), [1]);
    assert_eq!(rejection(engine.execute(show.clone()).await), [1]);
    assert!(CREATED.load(SeqCst) > 0);
    let moved = |from: &str, to: &str| Moved {
        from: from.to_owned(),
        to: to.to_owned(),
        amount: 4,
    };
    given(((), [moved("bank", "bob"), moved("bob", "bank")]))
        .when(show)
        .then_rejected(Shows(vec![4]));
}

#[test]
fn scenario_begins_with_the_constructor() {
    let moved = |from: &str, to: &str, amount| Moved {
        from: from.to_owned(),
        to: to.to_owned(),
        amount,
    };
    let past = || ((), [moved("bank", "ada", 50), moved("ada", "bob", 20)]);
    given(past())
        .when(transfer(1, "ada", "bob", 30))
        .then([moved("ada", "bob", 30)]);
    given(past())
        .when(transfer(1, "ada", "bob", 31))
        .then_rejected(Shows(vec![30, 20]));
    let account = "ada".to_owned();
    given(past())
        .when(ShowCredit { number: 1, account })
        .then_rejected(Shows(vec![130]));
}
