//! Snapshots of large states: they are limited, and no command waits for their encoding.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::IntoFuture as _;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use factum::command::SnapshotPolicy;
use factum::prelude::*;
use factum::store::SnapshotStore as _;
use factum_memory::MemoryStore;
use futures_util::FutureExt as _;

/// A time limit for waits that must end.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "note")]
enum NoteEvent {
    Written { text: String },
}

/// Notes whose snapshots have at most 1,000 bytes.
#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "notes", id = u32, event = NoteEvent, snapshot(every = 2, max_bytes = 1_000))]
struct Notes {
    texts: Vec<String>,
}

impl Apply<NoteEvent> for Notes {
    fn apply(&mut self, NoteEvent::Written { text }: &NoteEvent) {
        self.texts.push(text.clone());
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Notes)]
struct Write {
    #[id]
    notes: u32,
    text: String,
}

impl Decide for Write {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Notes) -> Result<Events<NoteEvent>, Self::Error> {
        let text = self.text.clone();
        Ok(NoteEvent::Written { text }.into())
    }
}

fn write(notes: u32, bytes: usize) -> Write {
    let text = "x".repeat(bytes);
    Write { notes, text }
}

/// Waits until the snapshot of `notes` has `version`.
async fn wait_for_snapshot(store: &MemoryStore, notes: u32, version: u64) {
    let stream = Notes::stream(&notes).unwrap();
    let saved = async {
        while store
            .load_snapshot(&stream)
            .await
            .unwrap()
            .is_none_or(|snapshot| snapshot.version.get() < version)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, saved).await.unwrap();
}

#[tokio::test]
async fn state_beyond_the_limit_is_not_saved() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    for _ in 0..2 {
        engine.execute(write(1, 300)).await.unwrap();
    }
    wait_for_snapshot(&store, 1, 2).await;
    for _ in 0..2 {
        engine.execute(write(1, 300)).await.unwrap();
    }
    // When this later snapshot is saved, a snapshot above the limit would usually be saved, too.
    for _ in 0..2 {
        engine.execute(write(2, 300)).await.unwrap();
    }
    wait_for_snapshot(&store, 2, 2).await;
    let stream = Notes::stream(&1).unwrap();
    let snapshot = store.load_snapshot(&stream).await.unwrap().unwrap();
    assert_eq!(snapshot.version.get(), 2);
    assert!(snapshot.data.len() <= 1_000);
    let loaded = Engine::new(store).load::<Notes>(&1).await.unwrap();
    assert_eq!(loaded.texts.len(), 4);
}

#[test]
fn snapshot_outside_of_a_runtime_is_skipped() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    for _ in 0..4 {
        let executed = engine.execute(write(1, 1)).into_future().now_or_never();
        executed.unwrap().unwrap();
    }
    let stream = Notes::stream(&1).unwrap();
    let snapshot = store.load_snapshot(&stream).now_or_never().unwrap();
    assert_eq!(snapshot.unwrap(), None);
}

/// Whether a state may be encoded.
static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Notes whose encoding waits for the gate.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct SlowNotes(usize);

impl Aggregate for SlowNotes {
    type Id = u32;
    type Event = NoteEvent;
    type Applied = NoteEvent;
    const CATEGORY: &'static str = "slow_notes";
    const SNAPSHOT: Option<SnapshotPolicy<Self>> = Some(SnapshotPolicy {
        encode: encode_behind_gate,
        ..SnapshotPolicy::json(1, 1)
    });
}

fn encode_behind_gate(notes: &SlowNotes) -> serde_json::Result<Vec<u8>> {
    let (is_open, opened) = &GATE;
    let is_open = opened.wait_while(is_open.lock().unwrap(), |is_open| !*is_open);
    drop(is_open.unwrap());
    serde_json::to_vec(notes)
}

impl Apply<NoteEvent> for SlowNotes {
    fn apply(&mut self, _: &NoteEvent) {
        self.0 += 1;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = SlowNotes)]
struct WriteSlowly {
    #[id]
    notes: u32,
}

impl Decide for WriteSlowly {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &SlowNotes) -> Result<Events<NoteEvent>, Self::Error> {
        let text = "slow".to_owned();
        Ok(NoteEvent::Written { text }.into())
    }
}

#[tokio::test]
async fn commands_do_not_wait_for_the_encoding() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    for number in 1..=5 {
        let execute = engine.execute(WriteSlowly { notes: 1 }).into_future();
        let executed = tokio::time::timeout(LIMIT, execute).await.unwrap();
        assert_eq!(executed.unwrap().position().get(), number);
    }
    let (is_open, opened) = &GATE;
    *is_open.lock().unwrap() = true;
    opened.notify_all();
    let stream = SlowNotes::stream(&1).unwrap();
    let saved = async {
        while store
            .load_snapshot(&stream)
            .await
            .unwrap()
            .is_none_or(|snapshot| snapshot.version.get() < 5)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, saved).await.unwrap();
    let snapshot = store.load_snapshot(&stream).await.unwrap().unwrap();
    assert_eq!(&*snapshot.data, b"5");
}

fn is_one(number: &u64) -> bool {
    *number == 1
}

/// A state that loses the number 1 in a snapshot.
#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "lossy_notes", id = u32, event = NoteEvent, snapshot(every = 1))]
struct LossyNotes {
    #[serde(default, skip_serializing_if = "is_one")]
    count: u64,
}

impl Apply<NoteEvent> for LossyNotes {
    fn apply(&mut self, _: &NoteEvent) {
        self.count += 1;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = LossyNotes)]
struct WriteLossily {
    #[id]
    notes: u32,
}

impl Decide for WriteLossily {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &LossyNotes) -> Result<Events<NoteEvent>, Self::Error> {
        let text = "x".to_owned();
        Ok(NoteEvent::Written { text }.into())
    }
}

#[tokio::test]
#[cfg_attr(
    not(debug_assertions),
    ignore = "only debug builds compare the state with its snapshot"
)]
async fn state_that_changes_in_a_snapshot_is_not_saved() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    for _ in 0..2 {
        engine.execute(WriteLossily { notes: 1 }).await.unwrap();
    }
    let stream = LossyNotes::stream(&1).unwrap();
    let snapshot = async {
        loop {
            match store.load_snapshot(&stream).await.unwrap() {
                Some(snapshot) => break snapshot,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let snapshot = tokio::time::timeout(LIMIT, snapshot).await.unwrap();
    // The state of version 1 is lost, the state of version 2 is not.
    assert_eq!(snapshot.version.get(), 2);
    let loaded = Engine::new(store).load::<LossyNotes>(&1).await.unwrap();
    assert_eq!(loaded.count, 2);
}

#[test]
#[should_panic(
    expected = "the state of lossy_notes-1 does not survive a snapshot: the state changes when a snapshot of it is saved \
                and loaded"
)]
fn scenario_rejects_a_state_that_changes_in_a_snapshot() {
    let written = NoteEvent::Written {
        text: "x".to_owned(),
    };
    factum_testkit::given([written.clone()])
        .when(WriteLossily { notes: 1 })
        .then([written]);
}
