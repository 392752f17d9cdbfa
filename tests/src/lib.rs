//! Shared support of the tests that span several crates. The README is a documentation test of this crate.
#![doc = include_str!("../../README.md")]

pub mod backend;
pub mod count;
pub mod history;
pub mod load;
pub mod orders;
pub mod own_server;
pub mod stores;
