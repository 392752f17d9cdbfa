//! [`EncodedLog`]: the log in encoded pages, which subscriptions share.

use std::sync::Arc;

use factum::Position;
use factum::engine::{LogPage, PagedLog};
use factum::store::{Page, Read, StoreError};
use factum_store_protocol::encoded::EncodedEvents;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::watch;
use uuid::Uuid;

use crate::access::{VisibleLog, VisibleRead};

/// The size of the pages in the cache, in bytes.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// The expected number of pages in the cache.
const CACHE_PAGES: usize = 1_000;
/// The size of a page without its events, in bytes.
const PAGE_OVERHEAD: u64 = 512;

/// The encoded pages that were read last; a clone shares them.
///
/// Only pages that are followed by more events are kept, because they do not change: events are only appended. Whether the
/// log still has the last event of a page, at its position, is checked before the page is used. If it has, it also has the
/// other events of the page.
#[derive(Clone)]
pub struct PageCache(Arc<Cache<VisibleRead, Arc<CachedPage>, ByEncodedSize>>);

struct CachedPage {
    events: EncodedEvents,
    last: Position,
    last_id: Uuid,
}

#[derive(Clone)]
struct ByEncodedSize;

impl Weighter<VisibleRead, Arc<CachedPage>> for ByEncodedSize {
    fn weight(&self, _: &VisibleRead, page: &Arc<CachedPage>) -> u64 {
        page.events.size() as u64 + PAGE_OVERHEAD
    }
}

impl Default for PageCache {
    fn default() -> Self {
        let cache = Cache::with_weighter(CACHE_PAGES, CACHE_BYTES, ByEncodedSize);
        Self(Arc::new(cache))
    }
}

/// The log as one caller may read it, in encoded pages.
#[derive(Clone)]
pub struct EncodedLog {
    log: VisibleLog,
    cache: PageCache,
}

/// A page of events in encoded form.
pub struct EncodedPage {
    /// The events.
    pub events: EncodedEvents,
    through: Position,
    head: Position,
    more: bool,
}

impl EncodedLog {
    /// Creates the log of a caller, which shares the pages in `cache`.
    #[must_use]
    pub fn new(log: VisibleLog, cache: PageCache) -> Self {
        Self { log, cache }
    }

    /// Returns the cached page of `read`, if the log still has its events.
    async fn cached(&self, read: &VisibleRead) -> Result<Option<EncodedPage>, StoreError> {
        let Some(cached) = self.cache.0.get(read) else {
            return Ok(None);
        };
        let before = Position::new(cached.last.get().saturating_sub(1));
        let page = self.log.event_after(before).await?;
        let last = page.events.first();
        if last.is_none_or(|last| (last.position, last.id) != (cached.last, cached.last_id)) {
            self.cache.0.remove(read);
            return Ok(None);
        }
        Ok(Some(EncodedPage {
            events: cached.events.clone(),
            through: cached.last,
            head: page.head,
            more: true,
        }))
    }

    fn encode(&self, read: VisibleRead, page: &Page) -> EncodedPage {
        let events = EncodedEvents::of(&page.events);
        if let Some(last) = page.events.last().filter(|_| page.more) {
            let cached = CachedPage {
                events: events.clone(),
                last: last.position,
                last_id: last.id,
            };
            self.cache.0.insert(read, Arc::new(cached));
        }
        EncodedPage {
            events,
            through: page.through(),
            head: page.head,
            more: page.more,
        }
    }
}

impl PagedLog for EncodedLog {
    type Page = EncodedPage;

    async fn read(&self, read: Read) -> Result<EncodedPage, StoreError> {
        let read = self.log.check(read)?;
        if let Some(cached) = self.cached(&read).await? {
            return Ok(cached);
        }
        let page = self.log.read(read.clone()).await?;
        Ok(self.encode(read, &page))
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.log.watch()
    }
}

impl LogPage for EncodedPage {
    fn through(&self) -> Position {
        self.through
    }

    fn head(&self) -> Position {
        self.head
    }

    fn more(&self) -> bool {
        self.more
    }
}

#[cfg(test)]
mod tests {
    use factum::store::{
        Append, ContentType, EventStore, ExpectedVersion, NewEvent, Query, Store, new_event_id,
    };
    use factum_memory::MemoryStore;
    use tonic::Request;

    use super::*;
    use crate::access::Stores;

    /// Returns the log of a store with `count` events, which shares `cache`.
    async fn log(count: u64, cache: &PageCache) -> (EncodedLog, Arc<dyn Store>) {
        let store = MemoryStore::new();
        for number in 0..count {
            let event = NewEvent {
                id: new_event_id(),
                name: "lamp.lit".into(),
                schema_version: 1,
                content_type: ContentType::Json,
                data: number.to_string().into_bytes().into(),
                tags: Vec::new(),
                metadata: Arc::default(),
                personal: Vec::new(),
            };
            let stream = "lamp-1".parse().unwrap();
            let append = Append::stream(stream, ExpectedVersion::Any, vec![event]);
            EventStore::append(&store, append).await.unwrap();
        }
        let store: Arc<dyn Store> = Arc::new(store);
        let visible = Stores::unprotected(store.clone()).log_for_request(&Request::new(()));
        let log = EncodedLog::new(visible.unwrap(), cache.clone());
        (log, store)
    }

    async fn encoded(store: &dyn Store, read: &Read) -> EncodedEvents {
        EncodedEvents::of(&store.read(read.clone()).await.unwrap().events)
    }

    #[tokio::test]
    async fn full_pages_are_shared_and_partial_ones_are_not() {
        let cache = PageCache::default();
        let (log, store) = log(3, &cache).await;
        let full = Read::all(Query::all()).limit(2);
        for _ in 0..2 {
            let page = log.read(full.clone()).await.unwrap();
            assert!(page.more());
            assert_eq!((page.through().get(), page.head().get()), (2, 3));
            assert_eq!(page.events, encoded(&*store, &full).await);
            assert_eq!(cache.0.len(), 1);
        }
        let rest = full.after(Position::new(2));
        let page = log.read(rest.clone()).await.unwrap();
        assert!(!page.more());
        assert_eq!(page.events, encoded(&*store, &rest).await);
        assert_eq!(cache.0.len(), 1);
    }

    #[tokio::test]
    async fn page_is_read_again_if_the_log_has_other_events() {
        let cache = PageCache::default();
        let read = Read::all(Query::all()).limit(2);
        let (before, _) = log(3, &cache).await;
        before.read(read.clone()).await.unwrap();
        // The log after a restore, which lost the end of the log, and stored other events in its place.
        let (restored, store) = log(4, &cache).await;
        let page = restored.read(read.clone()).await.unwrap();
        assert_eq!(page.events, encoded(&*store, &read).await);
        assert_eq!(page.head().get(), 4);
        let (short, _) = log(1, &cache).await;
        let page = short.read(read.clone()).await.unwrap();
        assert_eq!((page.through().get(), page.more()), (1, false));
    }
}
