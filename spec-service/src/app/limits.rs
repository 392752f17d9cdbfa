//! The limits of requests.

/// The default number of items in a page.
pub const DEFAULT_LIMIT: usize = 50;

/// The maximum number of items in a page.
pub const MAX_LIMIT: usize = 100;

/// The maximum length of an idempotency key, in bytes.
pub const MAX_KEY_BYTES: usize = 200;
