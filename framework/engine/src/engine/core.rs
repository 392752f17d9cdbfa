//! [`EngineCore`]: the state that all handles of an engine share.

use crate::clock::SharedClock;
use crate::domain::codec::Verification;
use crate::engine::alarm::DeadlineAlarm;
use crate::engine::deadline_commands::DeadlineCommands;
use crate::engine::retry_policy::RetryPolicy;
use crate::engine::stream_queues::StreamQueues;
use crate::state::loader::StateLoader;

/// The state that all handles of an engine share.
pub struct EngineCore {
    /// Loads states from the cache and the store.
    pub loader: StateLoader,
    /// The commands that wait for a stream.
    pub queues: StreamQueues,
    /// The retry policy of commands.
    pub retry: RetryPolicy,
    /// The checks of encoded events.
    pub verification: Verification,
    /// The clock for deadlines.
    pub clock: SharedClock,
    /// The commands that runtimes execute when deadlines are due.
    pub deadline_commands: DeadlineCommands,
    /// Wakes the executor of deadlines.
    pub alarm: DeadlineAlarm,
}
