//! Appends: the events to store, the conditions under which they are stored, and the result.

mod appended;
mod condition;
mod conflict;
mod error;
mod event_id_run;
mod idempotency_key;
mod request;

pub use appended::Appended;
pub use condition::{AppendCondition, ExpectedVersion};
pub use conflict::{Conflict, Violation};
pub use error::{AppendError, InvalidAppend};
pub use event_id_run::EventIdRun;
pub use idempotency_key::{IdempotencyKey, MAX_IDEMPOTENCY_KEY};
pub use request::{
    Append, AppendEvent, ExpectedStream, MAX_APPEND, MAX_APPEND_BYTES, MAX_APPEND_STREAMS,
};
