//! Everything that a domain and the program around it name every day.

pub use crate::aggregate::{Aggregate, Apply};
pub use crate::command::{Command, Decide};
pub use crate::engine::{Engine, ExecuteError, LoadError, Loaded, Receipt};
pub use crate::event::Event;
pub use crate::events::Events;
pub use crate::process::{
    Correlation, Deadline, ProcessManager, React, Reactions, Rejection, Respond,
};
pub use crate::process_managers::ProcessManagers;
pub use crate::projection::{Project, Projection};
pub use crate::projections::{InMemory, Projections};
pub use crate::record::Recorded;
pub use factum_macros::{Aggregate, Command, Event, Id, ProcessManager, Projection};
pub use serde::{Deserialize, Serialize};
