//! [`StartFrom`]: where a new consumer starts.

use factum_core::position::Position;

/// Where a process manager or an event handler starts that is new to a store.
///
/// The start position is stored at the first start of the program and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// At the first event of the log: it processes the whole history.
    Beginning,
    /// After the last event that is stored when the program first starts.
    End,
}

impl StartFrom {
    /// Returns the position after which a new consumer starts, if the log ends at `head`.
    pub(crate) fn position(self, head: Position) -> Position {
        match self {
            Self::Beginning => Position::ZERO,
            Self::End => head,
        }
    }
}
