//! [`AppendStreams`]: the streams of events that clients append.

use std::sync::atomic::{AtomicUsize, Ordering};

use factum::StreamId;

/// The category of the streams.
pub const CATEGORY: &str = "umadb";

/// The number of streams.
const COUNT: usize = 64;

/// The streams of events that clients append, used in turn.
///
/// Events of this protocol have no stream. If several servers write to one PostgreSQL database, concurrent appends share a
/// transaction only if their streams differ. A stream for each append would make the list of streams as long as the log.
pub struct AppendStreams {
    ids: Vec<StreamId>,
    next: AtomicUsize,
}

impl Default for AppendStreams {
    fn default() -> Self {
        let id = |number| format!("{CATEGORY}-{number}").parse();
        Self {
            ids: (0..COUNT).filter_map(|number| id(number).ok()).collect(),
            next: AtomicUsize::new(0),
        }
    }
}

impl AppendStreams {
    /// Returns the stream of the next append.
    pub fn next(&self) -> StreamId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.ids[number % self.ids.len()].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_used_in_turn() {
        let streams = AppendStreams::default();
        let names: Vec<String> = (0..COUNT + 1).map(|_| streams.next().to_string()).collect();
        assert_eq!((&*names[0], &*names[COUNT - 1]), ("umadb-0", "umadb-63"));
        assert_eq!(names[COUNT], "umadb-0");
        assert_eq!(streams.next().category(), CATEGORY);
    }
}
