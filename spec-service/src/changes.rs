//! The changes of all specifications as server-sent events. The gRPC API has them as `WatchSpecs`.

mod app;
pub mod rest;

pub use app::{ChangeFeed, ChangeFilter, ChangesRefusal, NextChange, OpenChanges};
