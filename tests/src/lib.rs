//! What crosses crates. The README is a documentation test of this one.
#![doc = include_str!("../../README.md")]

pub mod history;
pub mod stores;
