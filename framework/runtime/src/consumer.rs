//! [`Consumer`]: a durable subscription with leases, checkpoints, a failure policy and dead letters. Projections,
//! process managers and event handlers are consumers.
//!
//! | part | responsibility |
//! |---|---|
//! | `supervisor` | one task for each consumer: its builds, and one worker for each partition of each build |
//! | `promotion` | selects the build that serves readers |
//! | `partition_worker` | one task for each partition: acquires the lease, consumes, releases |
//! | `lease_holder`, `lease` | the lease of a partition and its checkpoint |
//! | `batch_applier` | applies events in batches; carries out the failure policy for events that fail; renews the lease with each checkpoint |
//! | `failure_policy` | decides what happens to an event that fails |
//! | `dead_letter_queue`, `dead_letter_store` | events that failed permanently |
//! | `dead_letter_retry`, `retry_progress` | retries dead letters in small batches |
//! | `deferred_checkpoint` | pages without events of the partition |
//! | `control` | requests of users and the list of builds, as a document |
//! | `status_tracker`, `status` | the status that users read |
//! | `handle` | the handle of users |
//! | `observer` | the consumer, as its read model sees it |
//! | `session` | the state of a worker while it holds a lease |
//! | `batch` | events for a consumer, and the errors of processing them |

mod batch;
mod batch_applier;
mod batch_size;
mod boxed_consumer;
mod build;
mod context;
mod control;
mod control_error;
mod dead_letter;
mod dead_letter_queue;
mod dead_letter_retry;
mod dead_letter_store;
mod deferred_checkpoint;
mod events_at;
mod failure_policy;
mod handle;
mod lease;
mod lease_holder;
mod observer;
mod panic_guard;
mod partition;
mod partition_reporter;
mod partition_status;
mod partition_worker;
mod promotion;
mod retry_progress;
mod session;
mod status;
mod status_tracker;
mod supervisor;
mod traits;
mod waiters;

pub use batch::{Batch, BatchError, ConsumerError, EventError};
pub use boxed_consumer::{BoxedConsumer, BoxedReadModel, box_consumer, box_read_model};
pub use build::Build;
pub use context::ConsumerContext;
pub use control::{Control, VersionedControl, change, checkpoint, control_key, is_build_wanted};
pub use control_error::{ControlError, WaitError};
pub use dead_letter::{DeadLetter, DeadLetterState};
pub use dead_letter_store::{blocked_keys, redact_errors};
pub use events_at::events_at;
pub use failure_policy::{Failure, FailureAction, FailurePolicy};
pub use handle::{ConsumerHandle, ConsumerTask};
pub use lease::{
    Checkpoint, checkpoint_of, checkpoint_position, fencing_test, lease_key, lease_keys,
};
pub use observer::ConsumerObserver;
pub use panic_guard::catch_panic;
pub use status::{ConsumerState, ConsumerStatus};
pub use traits::{Consumer, NewerEvents, ReadModel};
