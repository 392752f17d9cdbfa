//! States, upcasters and legacy events that depend on the record of an event: its time, position and metadata.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking and uses a part of the support"
)]

#[path = "support/lines.rs"]
mod lines;
#[path = "support/people.rs"]
mod people;
#[path = "support/server.rs"]
mod server;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use factum::Timestamp;
use factum::event::{LegacyEvent, UpcastError};
use factum::prelude::*;
use factum::privacy::{DocumentKeys, PersonalDataStore};
use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, Metadata, NewEvent, RecordedEvent,
    SnapshotStore as _, new_event_id,
};
use factum_memory::MemoryStore;
use factum_testkit::{Backend, given};
use serde_json::{Value, json};

use people::on_every_store;

on_every_store!(
    states_with_records_agree_from_cache_snapshot_and_replay,
    contended_states_with_records_agree_with_replay,
    query_state_receives_the_records_of_all_streams,
    legacy_event_and_upcaster_receive_the_record,
);

const TERM: Duration = Duration::from_hours(14 * 24);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "loan", legacy = [Recorded<LentBefore>])]
enum LoanEvent {
    #[event(version = 2, upcast = factum::event::upcast_legacy)]
    Lent {
        #[tag]
        member: String,
        due: Timestamp,
    },
    Renewed,
    #[event(version = 2, upcast = add_actor)]
    Returned {
        by: String,
    },
}

/// `loan.lent` in version 1 had no due date: it was 14 days after the loan was recorded.
#[derive(Event, Debug, Serialize, Deserialize)]
#[event(name = "loan.lent")]
struct LentBefore {
    member: String,
}

impl LegacyEvent<LoanEvent> for Recorded<LentBefore> {
    fn into_current(self) -> Result<Events<LoanEvent>, UpcastError> {
        let due = self.record.recorded_at + TERM;
        let member = self.event.member;
        Ok(LoanEvent::Lent { member, due }.into())
    }
}

/// `loan.returned` in version 1 did not say who returned the item.
fn add_actor(mut json: Value, record: &RecordedEvent) -> Result<Value, UpcastError> {
    let actor = record.metadata.actor.as_deref().ok_or("no actor")?;
    json["by"] = actor.into();
    Ok(json)
}

/// The facts of an event that only its record knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Facts {
    position: u64,
    version: u64,
    recorded_at: Timestamp,
    ids: String,
    tags: Vec<String>,
    actor: Option<String>,
}

/// A loan that remembers everything that only the record knows.
#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "loan", id = u32, event = Recorded<LoanEvent>, snapshot(every = 3))]
struct Loan {
    due: Option<Timestamp>,
    facts: Vec<Facts>,
}

impl Apply<Recorded<LoanEvent>> for Loan {
    fn apply(&mut self, event: &Recorded<LoanEvent>) {
        let record = &event.record;
        self.due = match &**event {
            LoanEvent::Lent { due, .. } => Some(*due),
            LoanEvent::Renewed => Some(record.recorded_at + TERM),
            LoanEvent::Returned { .. } => None,
        };
        self.facts.push(Facts {
            position: record.position.get(),
            version: record.version.get(),
            recorded_at: record.recorded_at,
            ids: format!("{} {:?}", record.id, record.metadata.correlation_id),
            tags: record.tags.iter().map(ToString::to_string).collect(),
            actor: record.metadata.actor.clone(),
        });
    }
}

/// The loans of a member, with the times at which they were recorded.
#[derive(Debug, Clone, Default)]
struct Lent(Vec<Timestamp>);

impl Apply<Recorded<LoanEvent>> for Lent {
    fn apply(&mut self, event: &Recorded<LoanEvent>) {
        self.0.push(event.record.recorded_at);
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Loan)]
struct Renew {
    #[id]
    loan: u32,
    times: u32,
}

impl Decide for Renew {
    type Error = Infallible;

    fn decide(&self, _: &Loan) -> Result<Events<LoanEvent>, Infallible> {
        Ok((0..self.times).map(|_| LoanEvent::Renewed).collect())
    }
}

/// Returns the times of the member's loans as a rejection, to show the state.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Loan, query = Lent, events = Recorded<LoanEvent>)]
struct ListLoans {
    #[id]
    loan: u32,
    #[tag]
    member: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Listed(Vec<Timestamp>);

impl Decide for ListLoans {
    type Error = Listed;

    fn decide(&self, (_, lent): (&Loan, &Lent)) -> Result<Events<LoanEvent>, Listed> {
        Err(Listed(lent.0.clone()))
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Loan)]
struct Lend {
    #[id]
    loan: u32,
    member: String,
}

impl Decide for Lend {
    type Error = Infallible;

    fn decide(&self, _: &Loan) -> Result<Events<LoanEvent>, Infallible> {
        let (member, due) = (self.member.clone(), Timestamp::from_micros(7));
        Ok(LoanEvent::Lent { member, due }.into())
    }
}

async fn states_with_records_agree_from_cache_snapshot_and_replay<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let engine = Engine::new(store.clone());
    let member = "ada".to_owned();
    let lend = Lend { loan: 1, member };
    engine.execute(lend).by("desk").await.unwrap();
    engine
        .execute(Renew { loan: 1, times: 2 })
        .by("ada")
        .await
        .unwrap();
    let receipt = engine.execute(Renew { loan: 1, times: 1 }).await.unwrap();
    let cached = Loan::clone(&*engine.load::<Loan>(&1).await.unwrap());
    let recorded_at = receipt.events()[0].recorded_at;
    assert_eq!(cached.due, Some(recorded_at + TERM));
    assert_eq!(cached.facts.len(), 4);
    assert_eq!(cached.facts[0].tags, ["member:ada"]);
    let stream = "loan-1".parse().unwrap();
    while store.load_snapshot(&stream).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let cold = Engine::new(backend.open().await);
    let snapshot = Loan::clone(&*cold.load::<Loan>(&1).await.unwrap());
    store.clear_snapshots().await.unwrap();
    let cold = Engine::new(backend.open().await);
    let replay = Loan::clone(&*cold.load::<Loan>(&1).await.unwrap());
    assert_eq!(cached, snapshot);
    assert_eq!(cached, replay);
}

async fn contended_states_with_records_agree_with_replay<B: Backend>() {
    let backend = B::create().await;
    let engine = Engine::new(backend.open().await);
    let commands = (0..40).map(|_| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.execute(Renew { loan: 1, times: 2 }).await.map(drop) })
    });
    for command in commands.collect::<Vec<_>>() {
        command.await.unwrap().unwrap();
    }
    let cached = Loan::clone(&*engine.load::<Loan>(&1).await.unwrap());
    assert_eq!(cached.facts.len(), 80);
    let cold = Engine::new(backend.open().await);
    cold.store().clear_snapshots().await.unwrap();
    assert_eq!(cached, *cold.load::<Loan>(&1).await.unwrap());
}

async fn query_state_receives_the_records_of_all_streams<B: Backend>() {
    let backend = B::create().await;
    let engine = Engine::new(backend.open().await);
    let mut times = Vec::new();
    for loan in 1..=3 {
        let member = "ada".to_owned();
        let receipt = engine.execute(Lend { loan, member }).await.unwrap();
        times.push(receipt.events()[0].recorded_at);
    }
    let member = "ada".to_owned();
    let told = engine.execute(ListLoans { loan: 9, member }).await;
    assert_eq!(told.unwrap_err().to_string(), format!("{times:?}"));
}

async fn legacy_event_and_upcaster_receive_the_record<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let mut metadata = Metadata::default();
    metadata.actor = Some("grace".to_owned());
    metadata.correlation_id = Some(new_event_id());
    let metadata = Arc::new(metadata);
    let old = |name: &'static str, data: &Value| NewEvent {
        id: new_event_id(),
        name: name.into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: data.to_string().into(),
        tags: Vec::new(),
        metadata: metadata.clone(),
        personal: Vec::new(),
    };
    let events = vec![
        old("loan.lent", &json!({ "member": "ada" })),
        old("loan.returned", &json!({})),
    ];
    let append = Append::stream("loan-1".parse().unwrap(), ExpectedVersion::NoStream, events);
    let recorded_at = store.append(append).await.unwrap().recorded_at;
    let history = Engine::new(store).history::<Loan>(&1).await.unwrap();
    let current: Vec<_> = history.into_iter().map(|it| it.event).collect();
    let member = "ada".to_owned();
    let due = recorded_at + TERM;
    let by = "grace".to_owned();
    assert_eq!(
        current,
        [LoanEvent::Lent { member, due }, LoanEvent::Returned { by }]
    );
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "visit")]
enum VisitEvent {
    Noted {
        #[personal]
        name: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default, PartialEq)]
#[aggregate(category = "visit", id = u32, event = Recorded<VisitEvent>)]
struct Visits(Vec<(String, Vec<String>, Timestamp)>);

impl Apply<Recorded<VisitEvent>> for Visits {
    fn apply(&mut self, event: &Recorded<VisitEvent>) {
        let VisitEvent::Noted { name } = &**event;
        let tags = event.record.tags.iter().map(ToString::to_string).collect();
        self.0.push((name.clone(), tags, event.record.recorded_at));
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Visits)]
struct Note {
    #[id]
    visit: u32,
    name: String,
}

impl Decide for Note {
    type Error = Infallible;

    fn decide(&self, _: &Visits) -> Result<Events<VisitEvent>, Infallible> {
        let name = self.name.clone();
        Ok(VisitEvent::Noted { name }.into())
    }
}

#[tokio::test]
async fn states_with_records_of_personal_data_agree_with_replay() {
    let master = people::master();
    let keys = DocumentKeys::open(MemoryStore::new(), master)
        .await
        .unwrap();
    let store = PersonalDataStore::open(MemoryStore::new(), keys)
        .await
        .unwrap();
    let engine = Engine::new(store.clone());
    let name = "Ada".to_owned();
    engine.execute(Note { visit: 1, name }).await.unwrap();
    let cached = Visits::clone(&*engine.load::<Visits>(&1).await.unwrap());
    assert_eq!(cached.0[0].1, [""; 0]);
    let replay = Engine::new(store);
    assert_eq!(cached, *replay.load::<Visits>(&1).await.unwrap());
}

#[test]
fn scenario_passes_records_to_the_state() {
    let lent = LoanEvent::Lent {
        member: "ada".to_owned(),
        due: Timestamp::from_micros(7),
    };
    let renewals = vec![LoanEvent::Renewed, LoanEvent::Renewed];
    given([lent])
        .when(Renew { loan: 1, times: 2 })
        .then(renewals);
}
