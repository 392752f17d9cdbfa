//! The deliveries of webhooks.
//!
//! Each webhook has a worker on each node. The worker that holds the lease of the webhook reads the log and delivers the
//! events that match. The lease, the progress and the delivery log are documents, written in one change.

mod address;
mod client;
mod cloud_event;
mod dispatcher;
mod entry;
mod keys;
mod lease;
mod progress;
mod schedule;
mod sender;
mod session;
mod signature;
mod worker;

pub use address::{AddressRules, Network};
pub use client::{DeliveryClient, DeliveryError, ReceiverAnswer};
pub use cloud_event::{MEDIA_TYPE, cloud_event};
pub use dispatcher::WebhookDispatcher;
pub use entry::{DeliveryEntry, MAX_ENTRIES, Outcome, find_entry, read_log};
pub use keys::load_key;
pub use lease::delete_progress;
pub use schedule::{MAX_RETRY_TIME, RetrySchedule};
pub use signature::{Secret, SecretKey, signatures};
