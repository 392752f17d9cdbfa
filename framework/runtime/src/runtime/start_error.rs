//! [`StartError`]: the reasons why a runtime does not start.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::RangeInclusive;

use factum_core::error::StoreError;
use factum_engine::process::CommandRoute;

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
    /// A setting is not valid.
    #[error("{0}")]
    InvalidSetting(String),
    /// Two consumers or two schedules have the same name.
    #[error("two {kind}s have the name {name:?}; give each a name of its own")]
    DuplicateName {
        /// The kind: `projection`, `process manager`, `event handler` or `schedule`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Two commands that would be stored under the same name: of `deadlines`, or of one process manager.
    #[error(
        "two commands of {kind} have the name {name:?}: {first} and {second}; rename one with `#[command(name = \"…\")]`"
    )]
    DuplicateCommand {
        /// The kind: "`deadlines`" or "the process manager" with its name.
        kind: String,
        /// The name.
        name: String,
        /// The Rust type of the first command.
        first: &'static str,
        /// The Rust type of the second command.
        second: &'static str,
    },
    /// The tables of a projection are in another database than the events.
    #[error(
        "the read model of projection {name:?} is in another database than the events; \
         create it from the store of the engine, for example with `store.read_model(…)`"
    )]
    OtherDatabase {
        /// The name of the projection.
        name: String,
    },
    /// The call was made outside a Tokio runtime, which runs the tasks.
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

/// Checks that the value of `setting` is in its range.
pub fn check_setting<T: PartialOrd + fmt::Debug + Copy>(
    setting: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), StartError> {
    match range.contains(&value) {
        true => Ok(()),
        false => {
            let (min, max) = range.into_inner();
            let error = format!("invalid {setting}: {value:?}; expected {min:?} to {max:?}");
            Err(StartError::InvalidSetting(error))
        }
    }
}

/// Checks that no two commands in `routes` have one name; the same command may occur twice.
pub fn check_commands(kind: &str, routes: &[CommandRoute]) -> Result<(), StartError> {
    let mut known: HashMap<&str, CommandRoute> = HashMap::new();
    for route in routes {
        if let Some(first) = known.insert(route.name, *route)
            && first.command_type() != route.command_type()
        {
            return Err(StartError::DuplicateCommand {
                kind: kind.to_owned(),
                name: route.name.to_owned(),
                first: first.command_type().name,
                second: route.command_type().name,
            });
        }
    }
    Ok(())
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
