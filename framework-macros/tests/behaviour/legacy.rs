//! Events that are stored differently today: renamed, split, retired, and with an upcaster between types.

use std::sync::Arc;

use factum::prelude::*;
use factum::record::Place;
use factum::{
    ContentType, DecodeErrorKind, LegacyEvent, NewEvent, Position, Query, RecordedEvent, StreamId,
    Timestamp, UpcastError, Version, upcast_legacy, upcast_typed,
};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(
    prefix = "account",
    legacy = [OpenedWith, History],
    retired = ["account.nudged", "account.poked"]
)]
enum AccountEvent {
    #[event(version = 3, upcast = [upcast_legacy, upcast_typed::<OpenedBy, Opened>])]
    Opened(Opened),
    #[event(name = "account.paid_in", alias = "account.deposited")]
    Deposited {
        amount: u64,
    },
    Closed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Opened {
    first: String,
    last: String,
}

/// The second version.
#[derive(Deserialize)]
struct OpenedBy {
    owner: String,
}

impl TryFrom<OpenedBy> for Opened {
    type Error = &'static str;

    fn try_from(old: OpenedBy) -> Result<Self, &'static str> {
        let (first, last) = old.owner.split_once(' ').ok_or("one word")?;
        Ok(Self {
            first: first.to_owned(),
            last: last.to_owned(),
        })
    }
}

/// The first version, with the first deposit.
#[derive(Event, Serialize, Deserialize)]
#[event(name = "account.opened")]
struct OpenedWith {
    owner: String,
    deposit: u64,
}

impl LegacyEvent<AccountEvent> for OpenedWith {
    fn into_current(self) -> Result<Events<AccountEvent>, UpcastError> {
        let opened = Opened::try_from(OpenedBy { owner: self.owner })?;
        let mut events = Events::from(AccountEvent::Opened(opened));
        if self.deposit > 0 {
            let amount = self.deposit;
            events.push(AccountEvent::Deposited { amount });
        }
        Ok(events)
    }
}

/// What is no event any more by itself.
#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "history", retired = "history.noted")]
enum History {
    Merged {
        deposits: Vec<u64>,
    },
    #[event(version = 2, upcast = up)]
    Ended {
        why: String,
    },
}

fn up(mut old: Value) -> Result<Value, UpcastError> {
    old["why"] = "unknown".into();
    Ok(old)
}

impl LegacyEvent<AccountEvent> for History {
    fn into_current(self) -> Result<Events<AccountEvent>, UpcastError> {
        Ok(match self {
            Self::Merged { deposits } => deposits.into_iter().map(deposited).collect(),
            Self::Ended { why } if why.is_empty() => return Err("no reason".into()),
            Self::Ended { .. } => AccountEvent::Closed.into(),
        })
    }
}

fn deposited(amount: u64) -> AccountEvent {
    AccountEvent::Deposited { amount }
}

fn opened() -> AccountEvent {
    AccountEvent::Opened(Opened {
        first: "Ada".to_owned(),
        last: "Byron".to_owned(),
    })
}

fn stored(name: &'static str, version: u32, json: &Value) -> RecordedEvent {
    let event = NewEvent {
        id: Uuid::nil(),
        name: name.into(),
        schema_version: version,
        content_type: ContentType::Json,
        data: json.to_string().into_bytes().into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    };
    let place = Place {
        position: Position::new(5),
        version: Version::new(1),
        recorded_at: Timestamp::from_micros(0),
    };
    RecordedEvent::new(event, StreamId::new("account", 42).unwrap(), place)
}

fn all(name: &'static str, version: u32, json: &Value) -> Vec<AccountEvent> {
    stored(name, version, json).decode_all().unwrap().collect()
}

fn fault(name: &'static str, version: u32, json: &Value) -> DecodeErrorKind {
    let record = stored(name, version, json);
    record.decode_all::<AccountEvent>().unwrap_err().kind
}

#[test]
fn an_old_name_is_read_as_ever() {
    let json = json!({ "amount": 3 });
    for name in ["account.deposited", "account.paid_in"] {
        assert_eq!(all(name, 1, &json), [deposited(3)]);
    }
    assert_eq!(deposited(3).event_type().name, "account.paid_in");
}

#[test]
fn an_old_event_may_be_several_today() {
    let first = json!({ "owner": "Ada Byron", "deposit": 7 });
    assert_eq!(all("account.opened", 1, &first), [opened(), deposited(7)]);
    let merged = json!({ "deposits": [1, 2, 3] });
    let deposits = [1, 2, 3].map(deposited);
    assert_eq!(all("history.merged", 1, &merged), deposits);
    assert_eq!(all("history.merged", 1, &json!({ "deposits": [] })), []);
}

#[test]
fn later_versions_go_through_their_upcasters() {
    let second = json!({ "owner": "Ada Byron" });
    assert_eq!(all("account.opened", 2, &second), [opened()]);
    let third = json!({ "first": "Ada", "last": "Byron" });
    assert_eq!(all("account.opened", 3, &third), [opened()]);
    // An old type has upcasters of its own.
    assert_eq!(all("history.ended", 1, &json!({})), [AccountEvent::Closed]);
}

#[test]
fn what_is_retired_is_skipped_and_nothing_else() {
    for name in ["account.nudged", "account.poked", "history.noted"] {
        assert_eq!(all(name, 9, &json!(null)), []);
    }
    let unknown = fault("account.pushed", 1, &json!({}));
    assert!(matches!(unknown, DecodeErrorKind::UnknownName), "{unknown}");
    let newer = fault("account.opened", 4, &json!({}));
    assert!(
        matches!(newer, DecodeErrorKind::NewerVersion { .. }),
        "{newer}"
    );
}

#[test]
fn what_an_old_type_rejects_is_told_with_its_reason() {
    let rejected = fault("history.ended", 2, &json!({ "why": "" }));
    assert_eq!(rejected.to_string(), "upcaster failed: no reason");
    let rejected = fault("account.opened", 2, &json!({ "owner": "Ada" }));
    let expected = "upcaster failed: from version 2 to 3: one word";
    assert_eq!(rejected.to_string(), expected);
}

#[test]
fn one_event_is_not_taken_for_several() {
    let record = stored(
        "account.opened",
        1,
        &json!({ "owner": "Ada Byron", "deposit": 7 }),
    );
    let fault = record.decode::<AccountEvent>().unwrap_err().kind;
    assert!(matches!(fault, DecodeErrorKind::NotExactlyOne { count: 2 }));
    let record = stored("account.nudged", 1, &json!({}));
    let fault = record.decode::<AccountEvent>().unwrap_err().kind;
    assert!(matches!(fault, DecodeErrorKind::NotExactlyOne { count: 0 }));
}

#[test]
fn readers_ask_for_old_names_and_not_for_retired_ones() {
    let names = <AccountEvent as factum::__private::EventSet>::names();
    assert_eq!(
        names,
        [
            "account.opened",
            "account.paid_in",
            "account.deposited",
            "account.closed",
            "history.merged",
            "history.ended",
        ]
    );
    let query = Query::names(names);
    assert!(query.matches(&stored("history.merged", 1, &json!({}))));
}
