//! Process managers: react to events with commands and deadlines.

mod action;
mod command_set;
pub mod deadline_document;
mod encode_command_error;
mod inputs;
pub mod instance;
mod process_manager;
mod react;
mod react_set;
mod reactions;

pub use crate::domain::deadline::{CommandType, When};
pub use action::ProcessAction;
pub use command_set::{CommandEnvelope, CommandOutcome, CommandRoute, CommandSet};
pub use encode_command_error::EncodeCommandError;
pub use inputs::{Deadline, Rejection};
pub use process_manager::{Correlation, ProcessManager, SentBy};
pub use react::{React, Respond};
pub use react_set::{Input, ReactSet, Reaction};
pub use reactions::Reactions;
