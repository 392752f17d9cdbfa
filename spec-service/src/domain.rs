//! The rules of specifications; knows neither tokio, SQL nor HTTP.

mod command;
mod content;
mod content_error;
mod name;
mod rejection;
mod spec;
mod yaml;
mod yaml_check;
mod yaml_guard;
mod yaml_input;
mod yaml_names;
mod yaml_node;

pub use command::{CreateSpec, DeleteSpec, DeprecateSpec, MAX_TEXT, PublishSpec, UpdateSpec};
pub use content::{Content, DEFAULT_MAX_BYTES, MAX_MAX_BYTES};
pub use content_error::{ContentError, Place};
pub use name::{NameError, SpecName};
pub use rejection::{Action, Rejection};
pub use spec::{Life, NameHolder, Spec, SpecEvent, SpecId, SpecState, UnknownState};
