//! The rules of specifications, independent of tokio, SQL and HTTP.

mod command;
mod content;
mod content_error;
mod name;
mod rejection;
mod spec;
mod yaml;
mod yaml_anchors;
mod yaml_cross_check;
mod yaml_input;
mod yaml_node;
mod yaml_validator;

pub use command::{CreateSpec, DeleteSpec, DeprecateSpec, MAX_TEXT, PublishSpec, UpdateSpec};
pub use content::{Content, DEFAULT_MAX_BYTES, MAX_BYTES_LIMIT};
pub use content_error::{ContentError, Location};
pub use name::{NameError, SpecName};
pub use rejection::{Action, SpecRejection};
pub use spec::{Life, NameHolder, Spec, SpecEvent, SpecId, SpecState, UnknownState};
