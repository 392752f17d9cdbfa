//! The limits of requests.

/// The maximum number of specifications in a page.
pub const MAX_LIMIT: usize = 100;

/// The maximum length of an idempotency key, in bytes.
pub const MAX_KEY_BYTES: usize = 200;
