//! [`Ahead`]: pages that are read before they are asked for.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use factum::{Direction, Page, Read, Scope};

use crate::error::Fault;
use crate::readers::Answer;

/// Pages that wait to be asked for; those that nobody asked for give way.
const MOST: usize = 8;
/// Whoever asks for fewer events is not expected to go through all of them.
const MANY: usize = 100;
/// The data in a page that is read ahead have about this many bytes at most.
pub(crate) const PAGE_BYTES: usize = 1024 * 1024;

/// Whoever reads forward, page by page, is ahead of the next page while it handles this one. Events never change, and
/// there is never a new one between others, so a page that is full is the same whenever it is read.
#[derive(Default)]
pub(crate) struct Ahead(Mutex<VecDeque<(Read, Answer<Page>)>>);

impl Ahead {
    pub(crate) fn put(&self, read: Read, page: Answer<Page>) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() == MOST {
            pages.pop_front();
        }
        pages.push_back((read, page));
    }

    /// What `read` asks for, if it was read ahead and is full.
    pub(crate) async fn take(&self, read: &Read) -> Option<Page> {
        let page = self.waiting(read)?.await;
        // What failed is tried again by whoever asks.
        let page: Result<Page, Fault> = page.ok()?;
        page.ok().filter(|page| page.more)
    }

    fn waiting(&self, read: &Read) -> Option<Answer<Page>> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = pages.iter().position(|(waiting, _)| waiting == read)?;
        pages.remove(index).map(|(_, page)| page)
    }
}

/// What will be asked for next by whoever asked for `read` and got `page`, if that can be told.
pub(crate) fn next(read: &Read, page: &Page) -> Option<Read> {
    let last = page.events.last()?;
    if !page.more || page.events.len() < MANY || read.direction != Direction::Forward {
        return None;
    }
    let mut next = read.clone();
    next.cursor = match read.scope {
        Scope::Stream(_) => last.version.get(),
        Scope::Streams(_) | Scope::All(_) => last.position.get(),
    };
    Some(next)
}

#[cfg(test)]
mod tests {
    use factum::{Position, Query};
    use tokio::sync::oneshot;

    use super::*;

    fn page(more: bool) -> Page {
        Page {
            events: Vec::new(),
            head: Position::new(7),
            more,
        }
    }

    fn put(ahead: &Ahead, read: &Read, page: Result<Page, Fault>) {
        let (answer, answered) = oneshot::channel();
        ahead.put(read.clone(), answered);
        assert!(answer.send(page).is_ok());
    }

    #[tokio::test]
    async fn only_a_full_page_is_given_and_only_once() {
        let (ahead, read) = (Ahead::default(), Read::all(Query::all()));
        put(&ahead, &read, Ok(page(true)));
        assert_eq!(ahead.take(&read.clone().after(1_u64)).await, None);
        assert_eq!(ahead.take(&read).await, Some(page(true)));
        assert_eq!(ahead.take(&read).await, None);
        put(&ahead, &read, Ok(page(false)));
        assert_eq!(ahead.take(&read).await, None);
        put(&ahead, &read, Err(Fault::Closed));
        assert_eq!(ahead.take(&read).await, None);
    }

    #[tokio::test]
    async fn what_nobody_asks_for_gives_way() {
        let (ahead, read) = (Ahead::default(), Read::all(Query::all()));
        for cursor in 0..=MOST as u64 {
            put(&ahead, &read.clone().after(cursor), Ok(page(true)));
        }
        assert_eq!(ahead.take(&read.clone().after(0_u64)).await, None);
        assert_eq!(ahead.take(&read.after(1_u64)).await, Some(page(true)));
    }
}
