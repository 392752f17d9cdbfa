//! The contract suite can fail: stores that are broken in one way each, and the case that finds it.

use std::panic::AssertUnwindSafe;

use factum::testkit::{
    Backend, contract, contract_append, contract_condition, contract_keys, contract_race,
    contract_read, contract_snapshot,
};
use factum::{
    Append, AppendError, Appended, EventStore, Expected, IdempotencyKey, Page, Position, Read,
    Snapshot, SnapshotStore, StoreError, StreamId, async_trait,
};
use factum_memory::MemoryStore;
use tokio::sync::watch;

/// What a store does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    IgnoresExpectations,
    IgnoresConditions,
    ForgetsKeys,
    ReusesKeys,
    StoresHalf,
    SkipsAnEvent,
    SaysThereIsNoMore,
    SwallowsConflicts,
    KeepsOldSnapshots,
    ChangesData,
}

/// A sound store behind a fault; the number of its variant is the parameter.
#[derive(Clone)]
struct Broken<const FAULT: usize>(MemoryStore);

const FAULTS: [Fault; 10] = [
    Fault::IgnoresExpectations,
    Fault::IgnoresConditions,
    Fault::ForgetsKeys,
    Fault::ReusesKeys,
    Fault::StoresHalf,
    Fault::SkipsAnEvent,
    Fault::SaysThereIsNoMore,
    Fault::SwallowsConflicts,
    Fault::KeepsOldSnapshots,
    Fault::ChangesData,
];

impl<const FAULT: usize> Broken<FAULT> {
    fn is(fault: Fault) -> bool {
        FAULTS[FAULT] == fault
    }
}

#[async_trait]
impl<const FAULT: usize> EventStore for Broken<FAULT> {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        if Self::is(Fault::IgnoresExpectations) {
            append
                .streams
                .iter_mut()
                .for_each(|part| part.expected = Expected::Any);
        }
        if Self::is(Fault::IgnoresConditions) {
            append.condition = None;
        }
        if Self::is(Fault::ForgetsKeys) {
            append.key = None;
        }
        if let (true, Some(key)) = (Self::is(Fault::ReusesKeys), &mut append.key) {
            key.fingerprint = Default::default();
        }
        if Self::is(Fault::ChangesData) {
            let events = append.streams.iter_mut().flat_map(|part| &mut part.events);
            events.for_each(|event| event.data = event.data.trim_ascii().to_vec().into());
        }
        if Self::is(Fault::StoresHalf) && append.streams.len() > 1 {
            let rest = append.streams.split_off(1);
            let first = self.0.append(append).await?;
            let append = Append {
                streams: rest,
                ..Append::default()
            };
            let second = self.0.append(append).await?;
            return Ok(Appended {
                count: first.count + second.count,
                versions: [first.versions, second.versions].concat(),
                ..second
            });
        }
        match self.0.append(append).await {
            Err(AppendError::Conflict(_)) if Self::is(Fault::SwallowsConflicts) => {
                self.0.append(Append::default()).await
            }
            other => other,
        }
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let mut page = self.0.read(read).await?;
        if Self::is(Fault::SkipsAnEvent) {
            page.events.retain(|event| event.position.get() % 50 != 0);
        }
        page.more &= !Self::is(Fault::SaysThereIsNoMore);
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.0.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.watch()
    }
}

#[async_trait]
impl<const FAULT: usize> SnapshotStore for Broken<FAULT> {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        if Self::is(Fault::KeepsOldSnapshots)
            && self.load_snapshot(&snapshot.stream).await?.is_some()
        {
            return Ok(());
        }
        self.0.save_snapshot(snapshot).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.0.load_snapshot(stream).await
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        self.0.clear_snapshots().await
    }
}

struct Place<const FAULT: usize>(MemoryStore);

#[async_trait]
impl<const FAULT: usize> Backend for Place<FAULT> {
    type Store = Broken<FAULT>;

    async fn create() -> Self {
        Self(MemoryStore::new())
    }

    async fn open(&self) -> Self::Store {
        Broken(self.0.clone())
    }
}

/// The case must fail.
fn found(name: &str, case: impl Future<Output = ()>) {
    let run = AssertUnwindSafe(|| contract::run(name, case));
    assert!(
        std::panic::catch_unwind(run).is_err(),
        "{name} did not find the fault"
    );
}

macro_rules! finds {
    ($($test:ident: $fault:literal by $area:ident::$case:ident;)*) => {
        $(
            #[test]
            fn $test() {
                found(stringify!($case), $area::$case::<Place<$fault>>());
            }
        )*
    };
}

finds! {
    an_ignored_expectation_is_found: 0 by contract_race::of_many_that_expect_one_version_exactly_one_wins;
    an_ignored_condition_is_found: 1 by contract_condition::a_condition_refuses_what_has_arrived_behind_it;
    a_forgotten_key_is_found: 2 by contract_keys::a_key_gives_the_first_answer_again;
    a_key_for_any_content_is_found: 3 by contract_keys::a_key_used_for_other_content_is_an_error;
    half_an_append_is_found: 4 by contract_append::an_append_over_several_streams_is_all_or_nothing;
    a_skipped_event_is_found: 5 by contract_race::a_subscriber_sees_every_event_once_and_in_order;
    a_page_that_hides_the_rest_is_found: 6 by contract_read::a_page_says_whether_there_is_more;
    a_swallowed_conflict_is_found: 7 by contract_append::every_violation_is_reported_in_order;
    an_old_snapshot_is_found: 8 by contract_snapshot::the_newest_snapshot_comes_back;
    changed_data_are_found: 9 by contract_append::what_is_stored_comes_back_byte_for_byte;
}
