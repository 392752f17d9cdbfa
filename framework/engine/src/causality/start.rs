//! The position at which a tree of causes can start, by the time in its correlation id.

use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::record::RecordedEvent;
use factum_core::store::EventStore;
use factum_core::timestamp::Timestamp;
use uuid::{Uuid, Variant};

use crate::domain::error::StoreError;

/// The maximum time by which the clock of an id may be fast, in microseconds: one minute.
///
/// The clock is compared with the store's clock.
const MAX_CLOCK_SKEW: i64 = 60 * 1_000_000;

/// Returns the position of the last event that is too old for the tree of `correlation`.
///
/// Returns 0 if the id does not contain a time. The times of events do not decrease with their positions, so a binary
/// search finds the position.
pub async fn position_before(
    store: &dyn EventStore,
    correlation: Uuid,
) -> Result<Position, StoreError> {
    let Some(created) = creation_time(correlation) else {
        return Ok(Position::ZERO);
    };
    let newest = Read::all(Query::all()).backward().limit(1);
    let Some(newest) = first(store, newest).await? else {
        return Ok(Position::ZERO);
    };
    let earliest = created.as_micros() - MAX_CLOCK_SKEW;
    let is_older = |event: &RecordedEvent| event.recorded_at.as_micros() < earliest;
    if is_older(&newest) {
        return Ok(newest.position);
    }
    // The event at `older` is too old, or it is 0. The event at `younger` is not too old.
    let (mut older, mut younger) = (0, newest.position.get());
    while younger - older > 1 {
        let middle = older + (younger - older) / 2;
        let read = Read::all(Query::all()).after(middle - 1).limit(1);
        match first(store, read).await? {
            Some(event) if is_older(&event) => older = middle,
            _ => younger = middle,
        }
    }
    Ok(Position::new(older))
}

async fn first(store: &dyn EventStore, read: Read) -> Result<Option<RecordedEvent>, StoreError> {
    Ok(store.read(read).await?.events.into_iter().next())
}

/// Returns the time in a UUIDv7 ([RFC 9562], 5.7), whose first 48 bits are the milliseconds since 1970.
///
/// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562
fn creation_time(id: Uuid) -> Option<Timestamp> {
    let is_v7 = id.get_version_num() == 7 && id.get_variant() == Variant::RFC4122;
    let millis = (id.as_u128() >> 80) as i64;
    is_v7.then(|| Timestamp::from_micros(millis * 1_000))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use async_trait::async_trait;
    use bytes::Bytes;
    use proptest::prelude::*;
    use tokio::sync::watch;

    use super::*;
    use factum_core::append::{Append, AppendError, Appended, IdempotencyKey};
    use factum_core::event_id::new_event_id;
    use factum_core::position::Version;
    use factum_core::read::{Direction, Page};
    use factum_core::record::{Assigned, ContentType, NewEvent};

    /// A store whose events have only a time, which is a function of the position.
    struct TimesOnly<T> {
        head: u64,
        micros: T,
        reads: AtomicU64,
    }

    impl<T: Fn(u64) -> i64> TimesOnly<T> {
        fn new(head: u64, micros: T) -> Self {
            let reads = AtomicU64::new(0);
            Self {
                head,
                micros,
                reads,
            }
        }

        fn event(&self, position: u64) -> RecordedEvent {
            let event = NewEvent {
                id: Uuid::nil(),
                name: "time.passed".into(),
                schema_version: 1,
                content_type: ContentType::Json,
                data: Bytes::new(),
                tags: Vec::new(),
                metadata: Arc::default(),
                personal: Vec::new(),
            };
            let assigned = Assigned {
                position: Position::new(position),
                version: Version::new(position),
                recorded_at: Timestamp::from_micros((self.micros)(position)),
            };
            RecordedEvent::new(event, "time-1".parse().unwrap(), assigned)
        }
    }

    #[async_trait]
    impl<T: Fn(u64) -> i64 + Send + Sync + 'static> EventStore for TimesOnly<T> {
        async fn append(&self, _: Append) -> Result<Appended, AppendError> {
            Err(StoreError::Closed.into())
        }

        async fn read(&self, read: Read) -> Result<Page, StoreError> {
            assert_eq!(read.limit, 1);
            self.reads.fetch_add(1, SeqCst);
            let position = match read.direction {
                Direction::Forward => read.cursor + 1,
                Direction::Backward => read.cursor.saturating_sub(1).min(self.head),
            };
            let there = (1..=self.head).contains(&position);
            Ok(Page {
                events: there.then(|| self.event(position)).into_iter().collect(),
                head: Position::new(self.head),
                more: position < self.head,
            })
        }

        async fn find(&self, _: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
            Ok(None)
        }

        fn watch(&self) -> watch::Receiver<Position> {
            watch::channel(Position::new(self.head)).1
        }
    }

    /// Returns a UUIDv7 of that time.
    fn id(millis: u64) -> Uuid {
        uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()
    }

    #[tokio::test]
    async fn position_is_found_by_a_binary_search() {
        // One event each millisecond.
        let store = TimesOnly::new(10_000_000, |position| position as i64 * 1_000);
        let found = position_before(&store, id(7_654_321)).await.unwrap();
        assert_eq!(found.get(), 7_654_321 - 60_000 - 1);
        let reads = store.reads.load(SeqCst);
        assert!(reads <= 25, "{reads} reads");
    }

    #[tokio::test]
    async fn id_without_time_starts_at_the_first_event() {
        let store = TimesOnly::new(10, |position| position as i64);
        let named = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"request");
        assert_eq!(
            position_before(&store, named).await.unwrap(),
            Position::ZERO
        );
        assert_eq!(store.reads.load(SeqCst), 0);
    }

    proptest! {
        #[test]
        fn skipped_events_are_too_old(
            mut minutes in prop::collection::vec(0..20u64, 0..40),
            made in 0..20u64,
        ) {
            minutes.sort_unstable();
            let times = minutes.clone();
            let head = minutes.len() as u64;
            let store = TimesOnly::new(head, move |position| {
                times[position as usize - 1] as i64 * MAX_CLOCK_SKEW
            });
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(position_before(&store, id(made * 60_000))).unwrap();
            let older = minutes.iter().filter(|minute| **minute + 1 < made).count();
            prop_assert_eq!(found.get(), older as u64);
        }
    }

    #[test]
    fn only_uuid_version_7_contains_a_time() {
        let before = Timestamp::now().as_micros() / 1_000;
        let made_at = creation_time(new_event_id()).unwrap().as_micros() / 1_000;
        assert!((before..=Timestamp::now().as_micros() / 1_000).contains(&made_at));
        let example: Uuid = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().unwrap();
        let expected: Timestamp = "2022-02-22T19:22:22Z".parse().unwrap();
        assert_eq!(creation_time(example), Some(expected));
        assert_eq!(
            creation_time(Uuid::new_v5(&Uuid::NAMESPACE_OID, b"request")),
            None
        );
        assert_eq!(creation_time(Uuid::nil()), None);
    }
}
