//! [`Subscription`]: the events that are stored already, then those to come, without a gap.

mod ahead;

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::sync::watch;
use tracing::{Instrument as _, debug_span};

use ahead::Ahead;

use crate::error::StoreError;
use crate::record::RecordedEvent;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::{MAX_PAGE, Page, Read};
use factum_core::store::EventStore;

/// The events that match a query, in the order of the store: those behind a position first (catch-up),
/// then each as it is stored (live). Keep the [`position`](Self::position) to resume later.
///
/// An error does not end it: ask again, and it goes on from where it stood.
pub struct Subscription {
    store: Arc<dyn EventStore>,
    query: Query,
    position: Position,
    head: watch::Receiver<Position>,
    page_size: usize,
    ahead: Option<Ahead>,
}

impl Subscription {
    /// A subscription to `store`, behind `after`.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, query: Query, after: Position) -> Self {
        let head = store.watch();
        Self {
            store,
            query,
            position: after,
            head,
            page_size: MAX_PAGE,
            ahead: None,
        }
    }

    /// At most this many events in a page, 1 to [`MAX_PAGE`].
    #[must_use]
    pub fn page_size(mut self, size: usize) -> Self {
        self.page_size = size;
        self
    }

    /// Everything up to here has been given out.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Waits until there is something behind the position, and gives it out. A page may hold no event: then
    /// what was stored does not match the query, and only the position moves on. Behind a page that was full, the
    /// next one is read ahead, while its receiver is busy.
    ///
    /// Cancel safe: nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails, [`StoreError::Closed`] once it is closed.
    pub async fn next_page(&mut self) -> Result<Page, StoreError> {
        loop {
            let read_ahead = match &mut self.ahead {
                Some(ahead) => {
                    let page = ahead.page().await;
                    self.ahead = None;
                    page.transpose()?
                }
                None => None,
            };
            let was_ahead = read_ahead.is_some();
            let page = match read_ahead {
                Some(page) => page,
                None => {
                    // Marked as seen before the read: what arrives during the read wakes the wait below.
                    self.head.borrow_and_update();
                    let span = debug_span!("read", after = self.position.get());
                    self.store.read(self.next()).instrument(span).await?
                }
            };
            if page.through() > self.position {
                self.position = page.through();
                if page.more {
                    self.ahead = Ahead::begin(&self.store, self.next());
                }
                return Ok(page);
            }
            // What was read ahead may be older than the head that was seen since: then it is read again.
            if !was_ahead {
                self.head.changed().await.map_err(|_| StoreError::Closed)?;
            }
        }
    }

    fn next(&self) -> Read {
        Read::all(self.query.clone())
            .after(self.position)
            .limit(self.page_size)
    }

    /// The events one by one. The stream ends with the first error.
    pub fn events(self) -> impl Stream<Item = Result<RecordedEvent, StoreError>> + Send {
        try_unfold(
            (self, VecDeque::new()),
            |(mut this, mut waiting)| async move {
                while waiting.is_empty() {
                    waiting.extend(this.next_page().await?.events);
                }
                Ok(waiting.pop_front().map(|event| (event, (this, waiting))))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use tokio::sync::watch;

    use super::Subscription;
    use crate::error::StoreError;
    use factum_core::append::{Append, AppendError, Appended, IdempotencyKey};
    use factum_core::position::Position;
    use factum_core::query::Query;
    use factum_core::read::{Page, Read};
    use factum_core::store::EventStore;

    /// Answers as it was told, each answer with the cursor that belongs to it.
    struct Told {
        answers: Mutex<VecDeque<(u64, Result<Page, StoreError>)>>,
        head: watch::Sender<Position>,
    }

    #[async_trait]
    impl EventStore for Told {
        async fn append(&self, _: Append) -> Result<Appended, AppendError> {
            Err(StoreError::Closed.into())
        }

        async fn read(&self, read: Read) -> Result<Page, StoreError> {
            let answer = self.answers.lock().expect("no panic").pop_front();
            let (cursor, answer) = answer.expect("no more reads than this");
            assert_eq!(read.cursor, cursor);
            // Somebody writes behind every read.
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

    /// No event, and more behind: the next page is read ahead.
    fn full(head: u64) -> Result<Page, StoreError> {
        page(head).map(|page| Page { more: true, ..page })
    }

    #[tokio::test]
    async fn what_was_read_ahead_comes_in_order_with_its_errors_and_hides_no_news() {
        let failed = Err(StoreError::Corrupt("event at position 5".to_owned()));
        let answers = [
            (0, full(3)),
            (3, full(4)),
            (4, failed),
            (4, full(6)),
            // Read ahead, and there was nothing yet: read again, and not waited for.
            (6, page(6)),
            (6, page(7)),
        ];
        let store = Told {
            answers: Mutex::new(answers.into()),
            head: watch::Sender::new(Position::ZERO),
        };
        let mut told = Subscription::new(Arc::new(store), Query::all(), Position::ZERO);
        for expected in [Some(3), Some(4), None, Some(6), Some(7)] {
            let page = told.next_page().await.ok();
            assert_eq!(page.map(|page| page.head.get()), expected);
        }
    }
}
