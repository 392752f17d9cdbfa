//! [`Subscription`]: the stored events, then new ones, without a gap.

mod paged_log;
mod prefetch;

use std::collections::VecDeque;
use std::sync::Arc;

use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::{MAX_PAGE, MAX_PAGE_BYTES, Read};
use factum_core::store::EventStore;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::sync::watch;
use tracing::{Instrument as _, debug_span};

use crate::domain::error::StoreError;
use crate::domain::record::RecordedEvent;
use crate::subscription::prefetch::Prefetch;

pub use paged_log::{LogPage, PagedLog, StoreLog};

/// The events that match a query, in the order of the log: first the stored ones, then new ones.
///
/// To resume later, save the [`position`](Self::position). An error does not end the subscription: the next call
/// continues at the same position.
pub struct Subscription<L: PagedLog = StoreLog> {
    log: L,
    query: Query,
    position: Position,
    head: watch::Receiver<Position>,
    page_size: usize,
    page_bytes: usize,
    prefetch: Option<Prefetch<L::Page>>,
}

impl Subscription {
    /// Creates a subscription to the events of `store` after `after`.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, query: Query, after: Position) -> Self {
        Self::of(store.into(), query, after)
    }

    /// Returns the events one by one. The stream ends after the first error.
    pub fn events(self) -> impl Stream<Item = Result<RecordedEvent, StoreError>> + Send {
        try_unfold(
            (self, VecDeque::new()),
            |(mut this, mut buffered)| async move {
                while buffered.is_empty() {
                    buffered.extend(this.next_page().await?.events);
                }
                Ok(buffered.pop_front().map(|event| (event, (this, buffered))))
            },
        )
    }
}

impl<L: PagedLog> Subscription<L> {
    /// Creates a subscription to the events of `log` after `after`.
    #[must_use]
    pub fn of(log: L, query: Query, after: Position) -> Self {
        let head = log.watch();
        Self {
            log,
            query,
            position: after,
            head,
            page_size: MAX_PAGE,
            page_bytes: MAX_PAGE_BYTES,
            prefetch: None,
        }
    }

    /// Sets the maximum number of events in a page, 1 to [`MAX_PAGE`].
    ///
    /// # Panics
    /// Panics if the number is 0 or more than [`MAX_PAGE`].
    #[must_use]
    #[track_caller]
    pub fn page_size(mut self, size: usize) -> Self {
        assert!(
            (1..=MAX_PAGE).contains(&size),
            "invalid `page_size`: {size}; expected 1 to {MAX_PAGE}"
        );
        self.page_size = size;
        self
    }

    /// Sets the size of a page in bytes at which it ends, 1 to [`MAX_PAGE_BYTES`].
    ///
    /// The subscription keeps at most one page that was read in advance, beside the one that the caller processes.
    ///
    /// # Panics
    /// Panics if the size is 0 or more than [`MAX_PAGE_BYTES`].
    #[must_use]
    #[track_caller]
    pub fn page_bytes(mut self, bytes: usize) -> Self {
        assert!(
            (1..=MAX_PAGE_BYTES).contains(&bytes),
            "invalid `page_bytes`: {bytes}; expected 1 to {MAX_PAGE_BYTES}"
        );
        self.page_bytes = bytes;
        self
    }

    /// Returns the position up to which all matching events were returned.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Waits until the log has events after the position, and returns them.
    ///
    /// A page without events advances the position: the new events do not match the query. After a full page, the next
    /// one is read in the background while the caller processes this one.
    ///
    /// Cancel safe: no event is lost if the future is dropped.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the store fails, [`StoreError::Closed`] after it was closed, and
    /// [`StoreError::BeyondHead`] if the log ends before the position, for example after a restore from a backup.
    pub async fn next_page(&mut self) -> Result<L::Page, StoreError> {
        loop {
            let prefetched = match &mut self.prefetch {
                Some(prefetch) => {
                    let page = prefetch.page().await;
                    self.prefetch = None;
                    page.transpose()?
                }
                None => None,
            };
            let was_prefetched = prefetched.is_some();
            let page = match prefetched {
                Some(page) => page,
                None => {
                    // Marked as seen before the read, so that an event that arrives during the read ends the wait below.
                    self.head.borrow_and_update();
                    let span = debug_span!("read", after = self.position.get());
                    self.log.read(self.next()).instrument(span).await?
                }
            };
            if page.through() > self.position {
                self.position = page.through();
                if page.more() {
                    self.prefetch = Prefetch::start(&self.log, self.next());
                }
                return Ok(page);
            }
            // A prefetched page may be older than the head that was marked as seen, so it is read again.
            if was_prefetched {
                continue;
            }
            if page.head() < self.position {
                return Err(StoreError::BeyondHead {
                    position: self.position,
                    head: page.head(),
                });
            }
            self.head.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }

    fn next(&self) -> Read {
        Read::all(self.query.clone())
            .after(self.position)
            .limit(self.page_size)
            .max_bytes(self.page_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use tokio::sync::watch;

    use super::Subscription;
    use crate::domain::error::StoreError;
    use factum_core::append::{Append, AppendError, Appended, IdempotencyKey};
    use factum_core::position::Position;
    use factum_core::query::Query;
    use factum_core::read::{Page, Read};
    use factum_core::store::EventStore;

    /// A store with scripted answers, each with the expected cursor of the read.
    struct ScriptedStore {
        answers: Mutex<VecDeque<(u64, Result<Page, StoreError>)>>,
        head: watch::Sender<Position>,
    }

    #[async_trait]
    impl EventStore for ScriptedStore {
        async fn append(&self, _: Append) -> Result<Appended, AppendError> {
            Err(StoreError::Closed.into())
        }

        async fn read(&self, read: Read) -> Result<Page, StoreError> {
            let answer = self.answers.lock().expect("no panic").pop_front();
            let (cursor, answer) = answer.expect("an answer for each read");
            assert_eq!(read.cursor, cursor);
            // An event arrives after every read.
            self.head.send_modify(|head| *head = head.plus(1));
            answer
        }

        async fn find(&self, _: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
            Ok(None)
        }

        fn watch(&self) -> watch::Receiver<Position> {
            self.head.subscribe()
        }
    }

    fn page(head: u64) -> Result<Page, StoreError> {
        Ok(Page {
            events: Vec::new(),
            head: Position::new(head),
            more: false,
        })
    }

    /// A page that is followed by another one, which is prefetched.
    fn full(head: u64) -> Result<Page, StoreError> {
        page(head).map(|page| Page { more: true, ..page })
    }

    #[tokio::test]
    async fn prefetched_pages_keep_their_order_and_errors() {
        let failed = Err(StoreError::Corrupt("event at position 5".to_owned()));
        let answers = [
            (0, full(3)),
            (3, full(4)),
            (4, failed),
            (4, full(6)),
            // Prefetched and empty: read again, without a wait.
            (6, page(6)),
            (6, page(7)),
        ];
        let store = ScriptedStore {
            answers: Mutex::new(answers.into()),
            head: watch::Sender::new(Position::ZERO),
        };
        let mut subscription = Subscription::new(Arc::new(store), Query::all(), Position::ZERO);
        for expected in [Some(3), Some(4), None, Some(6), Some(7)] {
            let page = subscription.next_page().await.ok();
            assert_eq!(page.map(|page| page.head.get()), expected);
        }
    }
}
