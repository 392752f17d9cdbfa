//! [`WebhookRejection`]: the reasons why a command on a webhook is rejected.

use thiserror::Error;

use super::filter::InvalidFilter;
use super::webhook::{MAX_OVERLAP_SECONDS, MAX_WEBHOOKS};

/// The reason why a command on a webhook is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WebhookRejection {
    /// No webhook of the tenant has this id, or it is deleted.
    #[error("webhook not found; check the id")]
    NotFound,
    /// A webhook with this id exists.
    #[error("a webhook with this id already exists; create another id")]
    AlreadyExists,
    /// The tenant has too many webhooks.
    #[error("too many webhooks: {MAX_WEBHOOKS}; delete one first")]
    TooMany,
    /// The filter is not valid.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
    /// A text is too long.
    #[error("{field} too long: {actual} characters; the limit is {limit}")]
    TooLong {
        /// The name of the field.
        field: &'static str,
        /// The maximum number of characters.
        limit: usize,
        /// The number of characters.
        actual: usize,
    },
    /// The overlap of two secrets is too long.
    #[error("overlap too long: {seconds} seconds; the limit is {MAX_OVERLAP_SECONDS}")]
    Overlap {
        /// The requested overlap.
        seconds: u64,
    },
    /// The webhook is disabled already.
    #[error("the webhook is already disabled; nothing has changed")]
    AlreadyDisabled,
    /// The webhook is enabled already.
    #[error("the webhook is already enabled; nothing has changed")]
    AlreadyEnabled,
    /// The webhook is disabled, so it cannot replay.
    #[error("the webhook is disabled; enable it first")]
    Disabled,
    /// The delivery log has no attempt with this number.
    #[error("delivery not found: {number}; the log keeps the newest attempts only")]
    NoSuchDelivery {
        /// The number of the attempt.
        number: u64,
    },
    /// The range of a replay is not valid.
    #[error(
        "invalid range: {from} to {to}; expected positions from 1, the first not after the last"
    )]
    Range {
        /// The position of the first event.
        from: u64,
        /// The position of the last event.
        to: u64,
    },
}
