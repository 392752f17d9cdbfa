//! Consumer groups: the server keeps the position, and many consumers share the work.
//!
//! The way of an event from the log to a consumer, and of the answer back to the disk:
//!
//! ```text
//!  log ──page──► actor ──event──► window of its partition ──ready──► delivery ──notice──► consumer
//!                                        ▲                                                   │
//!  documents ◄──one write── settlement ◄─┴─────────────── answer ◄───────────────────────────┘
//!      │
//!      └──── stored ──► notice "settled" ──► consumer
//! ```
//!
//! | part | responsibility |
//! |---|---|
//! | [`settings`], [`group_document`] | the settings of a group, and its document |
//! | [`partition_key`] | the key of an event and its partition |
//! | [`partition_state`] | the document of a partition: lease, position, settled events after it |
//! | [`window`], `key_queue` | the events after the checkpoint: the next one, the settled ones, the checkpoint |
//! | [`failure`] | what happens to an event that fails |
//! | [`settlement`] | the answers that are not written yet |
//! | `assignment` | the distribution of partitions over consumers |
//! | [`coordinator`] | the partitions and consumers of a group in one process, with the deliveries |
//! | [`actor`] | the task of a group: reads, writes, leases and notices |
//! | [`registry`] | the groups with consumers on this process |
//! | [`consumer`] | both ends of a connected consumer |
//! | [`dead_letters`] | events that failed permanently |
//! | [`metrics`] | the metrics of all groups |
//! | [`catalog`] | groups are created, changed, reset and deleted |
//!
//! The window, the settlement, the assignment and the coordinator have no I/O and no clock.
//!
//! A process processes a partition while it holds its lease, which is the lease of the runtime: the revision of the document
//! is the fencing token. A process that has lost its lease cannot write, so its unwritten answers do not count.

pub mod actor;
mod assignment;
pub mod catalog;
pub mod consumer;
pub mod coordinator;
pub mod dead_letters;
pub mod error;
pub mod failure;
pub mod group_document;
mod group_filter;
mod held_partition;
mod key_queue;
pub mod metrics;
pub mod partition_key;
pub mod partition_state;
pub mod registry;
mod session;
pub mod settings;
pub mod settlement;
pub mod stop;
pub mod window;

pub use group_filter::{FilteredText, GroupFilter};
pub use registry::Groups;
pub use session::Notice;
