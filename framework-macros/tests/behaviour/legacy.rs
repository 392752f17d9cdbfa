//! Events with an older stored format: renamed, split, retired, or upcast between Rust types.

use std::sync::Arc;

use factum::event::{DecodeErrorKind, LegacyEvent, UpcastError, upcast_legacy, upcast_typed};
use factum::prelude::*;
use factum::store::Assigned;
use factum::store::{ContentType, NewEvent, Query, RecordedEvent};
use factum::{Position, StreamId, Timestamp, Version};
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

/// Schema version 2 of `account.opened`.
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

/// Schema version 1 of `account.opened`, which contains the first deposit.
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

/// Events that are no longer stored.
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
    let assigned = Assigned {
        position: Position::new(5),
        version: Version::new(1),
        recorded_at: Timestamp::from_micros(0),
    };
    RecordedEvent::new(event, StreamId::new("account", 42).unwrap(), assigned)
}

fn all(name: &'static str, version: u32, json: &Value) -> Vec<AccountEvent> {
    stored(name, version, json).decode_all().unwrap().collect()
}

fn decode_error(name: &'static str, version: u32, json: &Value) -> DecodeErrorKind {
    let record = stored(name, version, json);
    record.decode_all::<AccountEvent>().unwrap_err().kind
}

#[test]
fn alias_is_decoded() {
    let json = json!({ "amount": 3 });
    for name in ["account.deposited", "account.paid_in"] {
        assert_eq!(all(name, 1, &json), [deposited(3)]);
    }
    assert_eq!(deposited(3).event_type().name, "account.paid_in");
}

#[test]
fn legacy_event_becomes_several_events() {
    let first = json!({ "owner": "Ada Byron", "deposit": 7 });
    assert_eq!(all("account.opened", 1, &first), [opened(), deposited(7)]);
    let merged = json!({ "deposits": [1, 2, 3] });
    let deposits = [1, 2, 3].map(deposited);
    assert_eq!(all("history.merged", 1, &merged), deposits);
    assert_eq!(all("history.merged", 1, &json!({ "deposits": [] })), []);
}

#[test]
fn later_versions_use_upcasters() {
    let second = json!({ "owner": "Ada Byron" });
    assert_eq!(all("account.opened", 2, &second), [opened()]);
    let third = json!({ "first": "Ada", "last": "Byron" });
    assert_eq!(all("account.opened", 3, &third), [opened()]);
    // A legacy type has its own upcasters.
    assert_eq!(all("history.ended", 1, &json!({})), [AccountEvent::Closed]);
}

#[test]
fn only_retired_event_types_are_skipped() {
    for name in ["account.nudged", "account.poked", "history.noted"] {
        assert_eq!(all(name, 9, &json!(null)), []);
    }
    let unknown = decode_error("account.pushed", 1, &json!({}));
    assert!(matches!(unknown, DecodeErrorKind::UnknownName), "{unknown}");
    let newer = decode_error("account.opened", 4, &json!({}));
    assert!(
        matches!(newer, DecodeErrorKind::NewerVersion { .. }),
        "{newer}"
    );
}

#[test]
fn legacy_error_contains_reason() {
    let rejected = decode_error("history.ended", 2, &json!({ "why": "" }));
    assert_eq!(rejected.to_string(), "upcaster failed: no reason");
    let rejected = decode_error("account.opened", 2, &json!({ "owner": "Ada" }));
    let expected = "upcaster failed: from version 2 to 3: one word";
    assert_eq!(rejected.to_string(), expected);
}

#[test]
fn decode_requires_exactly_one_event() {
    let record = stored(
        "account.opened",
        1,
        &json!({ "owner": "Ada Byron", "deposit": 7 }),
    );
    let error = record.decode::<AccountEvent>().unwrap_err().kind;
    assert!(matches!(error, DecodeErrorKind::NotExactlyOne { count: 2 }));
    let record = stored("account.nudged", 1, &json!({}));
    let error = record.decode::<AccountEvent>().unwrap_err().kind;
    assert!(matches!(error, DecodeErrorKind::NotExactlyOne { count: 0 }));
}

#[test]
fn event_set_names_legacy_but_not_retired_types() {
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
    let query = Query::event_types(names);
    assert!(query.matches(&stored("history.merged", 1, &json!({}))));
}
