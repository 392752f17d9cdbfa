//! Process managers, deadlines of decisions, schedules and event handlers.
//!
//! | part | responsibility |
//! |---|---|
//! | `process_consumer` | applies events to process instances |
//! | `dispatcher` | executes due work: commands of the outbox and deadlines |
//! | `due_index` | the due index: reads due work, deletes obsolete entries |
//! | `work_executor` | sends one command or fires one deadline, and stores the result or the failure |
//! | `later_due_time` | the due time of a deadline that counts from the storage of an event |
//! | `deadline_gate` | delays a deadline until all events that were stored before it are processed |
//! | `fence` | the fencing token of the dispatcher |
//! | `backoff` | instances that are not retried for a while |
//! | `failed_delivery` | work that failed permanently |
//! | `schedule`, `schedules`, `decision_deadlines` | recurring commands, and deadlines without a process manager |
//! | `event_handler`, `handler_consumer` | side effects outside the store |
//! | `definition` | a process manager without its type |
//! | `handle` | the handles of users |
//! | `report`, `signals` | logs and metrics of failed work; signals between the tasks |
//! | `orphan` | stored state that the runtime does not define |

mod backoff;
mod deadline_gate;
mod decision_deadlines;
mod definition;
mod dispatch_error;
mod dispatcher;
mod documents;
mod due_index;
mod event_handler;
mod failed_delivery;
mod fence;
mod handle;
mod handler_consumer;
mod later_due_time;
mod orphan;
mod pending_delivery;
mod process_consumer;
mod reaction_error;
mod report;
mod schedule;
mod schedules;
mod signals;
mod work_executor;

pub use decision_deadlines::{DEADLINES, DecisionDeadlines};
pub use definition::{EventDriven, ProcessDefinition, TypedProcess};
pub use dispatcher::{Dispatcher, DispatcherSettings, DispatcherTask};
pub use documents::find_instance;
pub use event_handler::{EventHandler, HandlerError, HandlerOptions};
pub use failed_delivery::{DeliveryWork, FailedDelivery};
pub use fence::DispatchOwner;
pub use handle::{DeliveryHandle, ProcessHandle};
pub use handler_consumer::{HandlerConsumer, handler_consumer_name};
pub use orphan::{Orphan, delete_schedule, orphans};
pub use pending_delivery::PendingDelivery;
pub use process_consumer::{ProcessConsumer, process_consumer_name};
pub use schedule::{InvalidSchedule, MissedRuns, Schedule};
pub use schedules::{SCHEDULES, Schedules};
pub use signals::Signals;
