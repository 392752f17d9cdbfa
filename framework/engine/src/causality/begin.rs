//! Where a tree may begin, by the time in its id.

use uuid::{Uuid, Variant};

use crate::error::StoreError;
use crate::record::RecordedEvent;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::EventStore;
use factum_core::timestamp::Timestamp;

/// How far the clock that made an id may be ahead of the store's, in microseconds: a minute.
const SKEW: i64 = 60 * 1_000_000;

/// The last position that is too old for a tree of `correlation`; 0 if its id does not say when it was made.
///
/// What the store took is never older than the event ahead of it, so that the place of a moment is found by halving.
pub async fn before(store: &dyn EventStore, correlation: Uuid) -> Result<Position, StoreError> {
    let Some(made) = made(correlation) else {
        return Ok(Position::ZERO);
    };
    let newest = Read::all(Query::all()).backward().limit(1);
    let Some(newest) = first(store, newest).await? else {
        return Ok(Position::ZERO);
    };
    let earliest = made.as_micros() - SKEW;
    let is_older = |event: &RecordedEvent| event.recorded_at.as_micros() < earliest;
    if is_older(&newest) {
        return Ok(newest.position);
    }
    // Everything up to `older` is too old; the event at `young` is not.
    let (mut older, mut young) = (0, newest.position.get());
    while young - older > 1 {
        let middle = older + (young - older) / 2;
        let read = Read::all(Query::all()).after(middle - 1).limit(1);
        match first(store, read).await? {
            Some(event) if is_older(&event) => older = middle,
            _ => young = middle,
        }
    }
    Ok(Position::new(older))
}

async fn first(store: &dyn EventStore, read: Read) -> Result<Option<RecordedEvent>, StoreError> {
    Ok(store.read(read).await?.events.into_iter().next())
}

/// When `id` was made, if it is a UUIDv7 ([RFC 9562], 5.7): its first 48 bits are milliseconds since 1970.
///
/// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562
fn made(id: Uuid) -> Option<Timestamp> {
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
    use crate::record::{Assigned, ContentType, NewEvent};
    use factum_core::append::{Append, AppendError, Appended, IdempotencyKey};
    use factum_core::event_id::new_event_id;
    use factum_core::position::Version;
    use factum_core::read::{Direction, Page};

    /// A store of which only the times of its events are known, by position.
    struct Clock<T> {
        head: u64,
        micros: T,
        reads: AtomicU64,
    }

    impl<T: Fn(u64) -> i64> Clock<T> {
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
    impl<T: Fn(u64) -> i64 + Send + Sync + 'static> EventStore for Clock<T> {
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

    /// A UUIDv7 of that moment.
    fn id(millis: u64) -> Uuid {
        uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()
    }

    #[tokio::test]
    async fn the_place_of_a_moment_is_found_with_a_read_for_each_doubling_of_the_store() {
        // An event each millisecond.
        let store = Clock::new(10_000_000, |position| position as i64 * 1_000);
        let found = before(&store, id(7_654_321)).await.unwrap();
        assert_eq!(found.get(), 7_654_321 - 60_000 - 1);
        let reads = store.reads.load(SeqCst);
        assert!(reads <= 25, "{reads} reads");
    }

    #[tokio::test]
    async fn an_id_without_a_time_begins_at_the_first_event_without_a_read() {
        let store = Clock::new(10, |position| position as i64);
        let named = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"request");
        assert_eq!(before(&store, named).await.unwrap(), Position::ZERO);
        assert_eq!(store.reads.load(SeqCst), 0);
    }

    proptest! {
        #[test]
        fn nothing_that_is_left_out_is_young_enough(
            mut minutes in prop::collection::vec(0..20u64, 0..40),
            made in 0..20u64,
        ) {
            minutes.sort_unstable();
            let times = minutes.clone();
            let head = minutes.len() as u64;
            let store = Clock::new(head, move |position| {
                times[position as usize - 1] as i64 * SKEW
            });
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(before(&store, id(made * 60_000))).unwrap();
            let older = minutes.iter().filter(|minute| **minute + 1 < made).count();
            prop_assert_eq!(found.get(), older as u64);
        }
    }

    #[test]
    fn a_uuid_of_version_7_tells_when_it_was_made_and_no_other_does() {
        let before = Timestamp::now().as_micros() / 1_000;
        let made_at = made(new_event_id()).unwrap().as_micros() / 1_000;
        assert!((before..=Timestamp::now().as_micros() / 1_000).contains(&made_at));
        let example: Uuid = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().unwrap();
        let expected: Timestamp = "2022-02-22T19:22:22Z".parse().unwrap();
        assert_eq!(made(example), Some(expected));
        assert_eq!(made(Uuid::new_v5(&Uuid::NAMESPACE_OID, b"request")), None);
        assert_eq!(made(Uuid::nil()), None);
    }
}
