//! Reads events by position: dead letters are stored as positions, and read again for a retry.

use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::{MAX_PAGE, Read};
use factum_core::store::EventStore;
use factum_engine::error::StoreError;
use factum_engine::record::RecordedEvent;

/// Reads the events at these ascending positions. Positions that are close together share one read.
pub async fn events_at(
    store: &dyn EventStore,
    mut positions: &[Position],
) -> Result<Vec<Option<RecordedEvent>>, StoreError> {
    let mut found = Vec::with_capacity(positions.len());
    while let Some(first) = positions.first() {
        let span = |position: &Position| position.get() - first.get() + 1;
        let is_close = |(index, position): (usize, &Position)| {
            let span = span(position);
            (span <= 4 * (index as u64 + 1) && span <= MAX_PAGE as u64).then_some(index)
        };
        let last = positions
            .iter()
            .enumerate()
            .filter_map(is_close)
            .next_back();
        let now = &positions[..=last.unwrap_or_default()];
        let limit = now.last().map_or(1, span) as usize;
        let read = Read::all(Query::all()).after(first.get().saturating_sub(1));
        let page = store.read(read.limit(limit)).await?;
        // Large events may fill a page before its limit does.
        let through = page.through();
        let available = now.partition_point(|position| *position <= through).max(1);
        let mut events = page.events.into_iter().peekable();
        for position in &now[..available] {
            while events.next_if(|event| event.position < *position).is_some() {}
            found.push(events.next_if(|event| event.position == *position));
        }
        positions = &positions[available..];
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::sync::watch;
    use uuid::Uuid;

    use super::*;
    use factum_core::append::{Append, AppendError, Appended, IdempotencyKey};
    use factum_core::read::Page;
    use factum_testkit::stored;

    /// A store of ten events, two of which fill a page.
    struct Large;

    #[async_trait]
    impl EventStore for Large {
        async fn append(&self, _: Append) -> Result<Appended, AppendError> {
            Err(StoreError::Closed.into())
        }

        async fn read(&self, read: Read) -> Result<Page, StoreError> {
            let positions = read.cursor + 1..=10;
            let events: Vec<_> = positions
                .take(read.limit.min(2))
                .map(|position| RecordedEvent {
                    position: Position::new(position),
                    id: Uuid::from_u128(position.into()),
                    ..stored("jar.filled", 1, &serde_json::json!({}))
                })
                .collect();
            let more = events.last().is_some_and(|last| last.position.get() < 10);
            let head = Position::new(10);
            Ok(Page { events, head, more })
        }

        async fn find(&self, _: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
            Ok(None)
        }

        fn watch(&self) -> watch::Receiver<Position> {
            watch::Sender::new(Position::new(10)).subscribe()
        }
    }

    #[tokio::test]
    async fn events_at_reads_across_small_pages() {
        let positions = [1, 2, 3, 5, 6, 9, 10, 11].map(Position::new);
        let found = events_at(&Large, &positions).await.expect("no failure");
        let found = found.into_iter().map(|it| it.map(|it| it.position.get()));
        let found: Vec<_> = found.collect();
        let there = [1, 2, 3, 5, 6, 9, 10].map(Some).into_iter();
        assert_eq!(found, there.chain([None]).collect::<Vec<_>>());
    }
}
