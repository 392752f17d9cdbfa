//! [`WaitForPosition`]: readers that can wait for a position.

use factum_core::position::Position;

/// A reader that can wait until it has processed a position of the log.
pub trait WaitForPosition {
    /// The reason why the reader does not reach a position.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Waits until the reader has processed every event up to `position`.
    fn wait_for(&self, position: Position) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
