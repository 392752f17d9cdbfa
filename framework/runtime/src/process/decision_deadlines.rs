//! [`DecisionDeadlines`]: the deadlines that decisions set, as one process manager without events.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use factum_core::timestamp::Timestamp;
use factum_engine::process::deadline_document::deadline_name;
use factum_engine::process::instance::{Cause, DueEntry, PendingCommand, ProcessInstance, Timer};
use factum_engine::process::{CommandRoute, Rejection};
use tracing::warn;

use super::definition::ProcessDefinition;
use super::reaction_error::ReactionError;

/// The name of all deadlines of decisions together, in metrics.
pub const DEADLINES: &str = "deadlines";

/// The deadlines that decisions set.
pub struct DecisionDeadlines {
    routes: HashMap<&'static str, CommandRoute>,
    /// The unknown commands that were logged.
    logged: Mutex<HashSet<String>>,
}

impl DecisionDeadlines {
    /// Creates the process manager that executes these commands.
    pub fn new(routes: Vec<CommandRoute>) -> Self {
        let routes = routes.into_iter().map(|route| (route.name, route));
        Self {
            routes: routes.collect(),
            logged: Mutex::default(),
        }
    }
}

impl ProcessDefinition for DecisionDeadlines {
    fn name(&self) -> &'static str {
        DEADLINES
    }

    fn actor<'a>(&'a self, instance: &'a str) -> Cow<'a, str> {
        format!("deadline {}", deadline_name(instance)).into()
    }

    /// Returns whether this program can execute the command.
    ///
    /// The first entry of each unknown command is logged.
    fn can_execute(&self, entry: &DueEntry) -> bool {
        let Some(command) = &entry.command else {
            return true;
        };
        let is_known = self.routes.contains_key(&**command);
        if !is_known {
            let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
            if logged.insert(command.clone()) {
                let deadline = &entry.id;
                warn!(
                    deadline,
                    command,
                    "unknown command of a deadline; it stays due until a runtime adds the command with `deadlines`"
                );
            }
        }
        is_known
    }

    fn are_decision_deadlines(&self) -> bool {
        true
    }

    fn idempotency_key(&self, instance: &str, pending: &PendingCommand) -> String {
        format!("deadline/{instance}/{}", pending.number)
    }

    fn route(&self, _: &str, name: &str) -> Option<CommandRoute> {
        self.routes.get(name).copied()
    }

    fn deadline(
        &self,
        instance: &mut ProcessInstance,
        _: &str,
        timer: &Timer,
        _: Timestamp,
    ) -> Result<(), ReactionError> {
        instance.remove_work(timer.number);
        Ok(())
    }

    fn rejected(
        &self,
        _: &mut ProcessInstance,
        _: &Rejection,
        _: &Cause,
    ) -> Result<(), ReactionError> {
        Ok(())
    }
}
