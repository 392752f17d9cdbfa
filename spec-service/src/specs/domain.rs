//! The rules of specifications, independent of tokio, SQL and HTTP.

mod command;
mod name;
mod rejection;
mod spec;

pub use command::{CreateSpec, DeleteSpec, DeprecateSpec, MAX_TEXT, PublishSpec, UpdateSpec};
pub use name::{NameError, QualifiedName, SpecName};
pub use rejection::{Action, SpecRejection};
pub use spec::{Life, NameHolder, Spec, SpecEvent, SpecId, SpecState, UnknownState};
