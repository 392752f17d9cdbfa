//! [`ProcessStartError`]: names that stand for nothing, or for two things.

use std::collections::HashSet;

use super::SCHEDULES;

/// Process managers, schedules and handlers were not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessStartError {
    /// The name of a process manager or a handler is empty, too long, or holds what keys are made of.
    #[error(
        "{name:?} is no name of a process manager or a handler: 1 to 128 bytes without `/` or control characters"
    )]
    Name {
        /// The name, cut after 80 characters.
        name: String,
    },
    /// Two process managers or handlers of one name.
    #[error("the process manager or handler {name:?} is there twice: each needs a name of its own")]
    Twice {
        /// The name.
        name: String,
    },
    /// A process manager or a handler has the name that the [schedules](SCHEDULES) go by.
    #[error(
        "all schedules together go by the name {SCHEDULES:?}: no process manager or handler has it"
    )]
    Reserved,
    /// Two schedules of one name.
    #[error("the schedule {name:?} is there twice: each needs a name of its own")]
    ScheduleTwice {
        /// The name.
        name: String,
    },
}

/// Whether each of the process managers and handlers can be asked for by its name, and each schedule is told from the
/// others.
pub fn check<'n>(
    names: impl Iterator<Item = &'n str>,
    schedules: impl Iterator<Item = &'n str>,
) -> Result<(), ProcessStartError> {
    let mut known = HashSet::new();
    for name in names {
        if name.is_empty()
            || name.len() > 128
            || name.contains(|c: char| c == '/' || c.is_control())
        {
            let name = name.chars().take(80).collect();
            return Err(ProcessStartError::Name { name });
        }
        if name == SCHEDULES {
            return Err(ProcessStartError::Reserved);
        }
        if !known.insert(name) {
            let name = name.to_owned();
            return Err(ProcessStartError::Twice { name });
        }
    }
    let mut known = HashSet::new();
    for name in schedules {
        if !known.insert(name) {
            let name = name.to_owned();
            return Err(ProcessStartError::ScheduleTwice { name });
        }
    }
    Ok(())
}
