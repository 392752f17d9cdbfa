//! Commands without the derive: their tags are compared with those of the events before they are executed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;

use factum::command::{DcbQuery, Folded, Queried};
use factum::prelude::*;
use factum::store::Tag;
use factum_memory::MemoryStore;
use factum_testkit::given;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "account")]
enum AccountEvent {
    Opened {
        #[tag]
        owner: u32,
    },
    Closed,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "account", id = u32, event = AccountEvent)]
struct Account;

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

/// The number of accounts of an owner.
#[derive(Debug, Default)]
struct Owner(u32);

impl Apply<AccountEvent> for Owner {
    fn apply(&mut self, event: &AccountEvent) {
        self.0 += u32::from(matches!(event, AccountEvent::Opened { .. }));
    }
}

/// Opens an account, with the tag key of the caller.
#[derive(Debug, Clone, Serialize)]
struct Open {
    account: u32,
    owner: u32,
    key: &'static str,
}

impl Command for Open {
    const NAME: &'static str = "Open";
    type On = Queried<Account, Folded<Owner, AccountEvent>>;

    fn target(&self) -> (&u32, DcbQuery<Owner>) {
        (
            &self.account,
            DcbQuery::any_tag([Tag::new(self.key, self.owner)]),
        )
    }
}

impl Decide for Open {
    type Error = Infallible;
    fn decide(&self, (_, owner): (&Account, &Owner)) -> Result<Events<AccountEvent>, Infallible> {
        match owner.0 {
            0 => Ok(AccountEvent::Opened { owner: self.owner }.into()),
            _ => Ok(Events::none()),
        }
    }
}

/// Has the right query, and a wrong key in `TAGS`. It has two queries.
#[derive(Debug, Clone, Serialize)]
struct Listed(u32);

impl Command for Listed {
    const NAME: &'static str = "Listed";
    const TAGS: &'static [&'static str] = &["owner", "branch"];
    type On = Queried<Account, (Folded<Owner, AccountEvent>, Folded<Owner, AccountEvent>)>;

    fn target(&self) -> (&u32, (DcbQuery<Owner>, DcbQuery<Owner>)) {
        let query = || DcbQuery::any_tag([Tag::new("owner", self.0)]);
        (&self.0, (query(), query()))
    }
}

impl Decide for Listed {
    type Error = Infallible;
    fn decide(&self, _: (&Account, (&Owner, &Owner))) -> Result<Events<AccountEvent>, Infallible> {
        Ok(Events::none())
    }
}

fn open(account: u32, key: &'static str) -> Open {
    Open {
        account,
        owner: 7,
        key,
    }
}

const UNKNOWN: &str = "the command \"Open\" selects events by the tag key \"holder\", which no event of its DCB query \
                       has: account.opened, account.closed; use the key of a field with `#[tag]`";

#[tokio::test]
async fn engine_rejects_a_tag_that_no_event_has() {
    let engine = Engine::new(MemoryStore::new());
    for _ in 0..2 {
        let error = engine.execute(open(1, "holder")).await.unwrap_err();
        assert!(matches!(error, ExecuteError::UnknownTag(_)), "{error:?}");
        assert_eq!(error.to_string(), UNKNOWN);
    }
    assert_eq!(
        engine
            .execute(open(1, "owner"))
            .await
            .unwrap()
            .events()
            .len(),
        1
    );
    assert_eq!(
        engine
            .execute(open(2, "owner"))
            .await
            .unwrap()
            .events()
            .len(),
        0
    );
}

#[tokio::test]
async fn engine_rejects_a_listed_key_that_no_event_has() {
    let error = Engine::new(MemoryStore::new())
        .execute(Listed(1))
        .await
        .unwrap_err();
    let ExecuteError::UnknownTag(unknown) = error else {
        panic!("{error:?}");
    };
    assert_eq!((unknown.command, &*unknown.key), ("Listed", "branch"));
}

#[test]
fn scenario_accepts_a_hand_written_command() {
    let opened = || AccountEvent::Opened { owner: 7 };
    given(((), ())).when(open(1, "owner")).then([opened()]);
    given(((), [opened()])).when(open(1, "owner")).then(());
}

#[test]
#[should_panic = "the command \"Open\" selects events by the tag key \"holder\", which no event"]
fn scenario_rejects_a_tag_that_no_event_has() {
    given(((), ())).when(open(1, "holder")).then(());
}
