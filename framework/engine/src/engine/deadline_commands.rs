//! [`DeadlineCommands`]: the commands that the runtimes of an engine execute when deadlines are due.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::domain::deadline::{CommandType, DeadlineChange, InvalidDeadline};

/// The commands that the runtimes of an engine execute when deadlines are due, by name.
///
/// A deadline stores the name of its command. If another Rust type had the same name, the runtime would execute that
/// one instead.
#[derive(Debug, Default)]
pub struct DeadlineCommands(Mutex<HashMap<&'static str, CommandType>>);

impl DeadlineCommands {
    /// Adds the command `name` of a runtime.
    pub fn add(&self, name: &'static str, command_type: CommandType) {
        let mut commands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        commands.insert(name, command_type);
    }

    /// Checks that no runtime would execute another command in place of one in `changes`.
    ///
    /// # Errors
    /// Returns [`InvalidDeadline`] for the first command whose name a command of another Rust type has.
    pub fn check(&self, changes: &BTreeMap<String, DeadlineChange>) -> Result<(), InvalidDeadline> {
        let commands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (deadline, change) in changes {
            if let DeadlineChange::Set(scheduled) = change
                && let Some(executed) = commands.get(scheduled.command)
                && *executed != scheduled.command_type
            {
                return Err(InvalidDeadline {
                    name: deadline.clone(),
                    reason: format!(
                        "its command {} and the command {} in `deadlines` of the runtime have the name {:?}; \
                         rename one with `#[command(name = \"…\")]`",
                        scheduled.command_type.name, executed.name, scheduled.command
                    ),
                });
            }
        }
        Ok(())
    }
}
