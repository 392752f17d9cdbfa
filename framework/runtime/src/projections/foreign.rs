//! [`Foreign`]: what a [`Worker`] passes that does not concern it. It is noted down for many pages together: each note is a
//! write beside those who append.

use std::sync::atomic::Ordering::SeqCst;

use tokio::time::Instant;

use super::worker::{Held, Worker};
use super::{GLANCE, Shared};
use factum_core::read::Page;

/// The newest page that was passed, and since when something is to be noted down.
pub struct Foreign {
    pub page: Page,
    since: Instant,
}

impl Worker {
    /// Gives back `page` if it is to be taken now: something in it concerns this worker, somebody waits for it, or it was
    /// put off long enough.
    pub fn not_foreign(&self, held: &mut Held, page: Page) -> Option<Page> {
        let before = held.foreign.take();
        let since = before.map_or_else(Instant::now, |before| before.since);
        let concerns = page.events.iter().any(|event| self.is_mine(&event.stream));
        let puts_off = !concerns && self.may_put_off() && since.elapsed() < GLANCE;
        if !puts_off || self.shared.waiting.load(SeqCst) > 0 {
            return Some(page);
        }
        held.foreign = Some(Foreign { page, since });
        None
    }

    /// Deadlines ask the checkpoint of a process manager, appends that of an inline projection; and what is in memory
    /// costs nothing.
    fn may_put_off(&self) -> bool {
        let model = &*self.shared.model;
        !self.inline && !model.leaves_newer() && model.own_documents().is_none()
    }
}

/// Waits until what was passed is to be noted down.
pub async fn due(foreign: Option<&Foreign>, shared: &Shared) {
    let Some(foreign) = foreign else {
        return std::future::pending().await;
    };
    let wanted = shared.wanted.notified();
    tokio::pin!(wanted);
    // From here on it is heard.
    wanted.as_mut().enable();
    if shared.waiting.load(SeqCst) > 0 {
        return;
    }
    tokio::select! {
        () = wanted => {}
        () = tokio::time::sleep_until(foreign.since + GLANCE) => {}
    }
}
