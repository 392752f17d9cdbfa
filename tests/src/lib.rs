//! What crosses crates. The README is a documentation test of this one.
#![doc = include_str!("../../README.md")]

pub mod backend;
pub mod count;
pub mod history;
pub mod load;
pub mod orders;
pub mod stores;
