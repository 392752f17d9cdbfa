//! [`StartError`]: the reasons why a runtime does not start.

use std::collections::HashSet;

use factum_core::error::StoreError;

use super::running::ConsumerKind;
use crate::process::{DEADLINES, SCHEDULES, handler_consumer_name, process_consumer_name};

/// A runtime did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A name is not valid.
    #[error(
        "invalid {kind} name {name:?}; use 1 to {limit} bytes without `/` or control characters"
    )]
    InvalidName {
        /// The kind of the consumer: `projection`, `process manager` or `event handler`.
        kind: &'static str,
        /// The name, cut after 80 characters.
        name: String,
        /// The maximum length in bytes.
        limit: usize,
    },
    /// The runtime itself uses the name, or names with this prefix.
    ///
    /// A process manager must not be named `schedules` or `deadlines`. The name of a projection must not start with
    /// `process:` or `handler:`.
    #[error("reserved {kind} name {name:?}; choose another name")]
    ReservedName {
        /// The kind of the consumer: `projection` or `process manager`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Two consumers or two schedules have the same name.
    #[error("two {kind}s have the name {name:?}; give each a name of its own")]
    DuplicateName {
        /// The kind: `projection`, `process manager`, `event handler` or `schedule`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Two commands of `deadlines` have the same name.
    #[error(
        "two commands of `deadlines` have the name {name:?}; give one another name with `#[command(name = \"…\")]`"
    )]
    DuplicateCommand {
        /// The name.
        name: String,
    },
    /// There is no Tokio runtime for the tasks.
    #[error(
        "the runtime was started outside a Tokio runtime; call `start` in an async function that Tokio runs, for example \
         under `#[tokio::main]`"
    )]
    NoTokioRuntime,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks that the name of a consumer can be part of a document key.
pub fn check_name(kind: ConsumerKind, name: &str, limit: usize) -> Result<(), StartError> {
    let is_valid =
        (1..=limit).contains(&name.len()) && !name.contains(|c: char| c == '/' || c.is_control());
    match is_valid {
        true => Ok(()),
        false => Err(StartError::InvalidName {
            kind: kind.as_str(),
            name: name.chars().take(80).collect(),
            limit,
        }),
    }
}

/// Checks that a process manager does not have the name of all schedules or of all deadlines.
pub fn check_not_reserved(name: &str) -> Result<(), StartError> {
    let mut reserved = [SCHEDULES, DEADLINES].into_iter();
    match reserved.any(|reserved| reserved == name) {
        true => Err(reserved_name(ConsumerKind::ProcessManager, name)),
        false => Ok(()),
    }
}

/// Checks that a projection does not share its documents with a process manager or an event handler.
pub fn check_prefix(name: &str) -> Result<(), StartError> {
    let mut prefixes = [process_consumer_name(""), handler_consumer_name("")].into_iter();
    match prefixes.any(|prefix| name.starts_with(&prefix)) {
        true => Err(reserved_name(ConsumerKind::Projection, name)),
        false => Ok(()),
    }
}

fn reserved_name(kind: ConsumerKind, name: &str) -> StartError {
    StartError::ReservedName {
        kind: kind.as_str(),
        name: name.to_owned(),
    }
}

/// Checks that no name occurs twice.
pub fn check_unique<'n>(
    kind: &'static str,
    names: impl Iterator<Item = &'n str>,
) -> Result<(), StartError> {
    let mut known = HashSet::new();
    for name in names {
        if !known.insert(name) {
            let name = name.to_owned();
            return Err(StartError::DuplicateName { kind, name });
        }
    }
    Ok(())
}
