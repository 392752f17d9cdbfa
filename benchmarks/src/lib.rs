//! Code that the programs of this package share.

pub mod bank;
pub mod domain;
pub mod raw;
pub mod tables;
