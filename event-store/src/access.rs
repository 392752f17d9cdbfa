//! Access: the store as the caller of a request may use it.

mod stores;

pub use stores::Stores;
