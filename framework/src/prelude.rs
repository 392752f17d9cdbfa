//! The items that applications use every day: `use factum::prelude::*`.

pub use factum_engine::aggregate::{Aggregate, Apply};
pub use factum_engine::command::{Command, Decide, Find};
pub use factum_engine::engine::{Engine, ExecuteError, LoadError, Loaded, Receipt};
pub use factum_engine::event::Event;
pub use factum_engine::events::Events;
pub use factum_engine::process::{
    Correlation, Deadline, ProcessManager, React, Reactions, Rejection, Respond,
};
pub use factum_engine::projection::{Project, Projection};
pub use factum_engine::record::{DecodeEvent, Recorded};
pub use factum_macros::{Aggregate, Command, Event, Id, ProcessManager, Projection};
pub use factum_runtime::projections::InMemory;
pub use factum_runtime::{Runtime, StartFrom};
pub use serde::{Deserialize, Serialize};
