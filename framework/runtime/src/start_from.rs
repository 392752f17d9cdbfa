//! [`StartFrom`]: the start position of a new consumer.

use factum_core::position::Position;

/// The start position of a process manager or an event handler that is new to a store.
///
/// It is stored at the first start of the program and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// The first event of the log: the consumer processes the whole history.
    Beginning,
    /// The end of the log when the program first starts: earlier events are not processed.
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
