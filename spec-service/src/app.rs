//! The parts of the application layer that all capabilities share.

mod application;
mod as_of;
mod content_refusal;
mod context;
mod cursor;
mod error;
mod health;
mod limits;
mod page;
mod refusal;

pub use application::Application;
pub use as_of::{AsOf, InvalidPointInTime};
pub use context::RequestContext;
pub use cursor::{Cursor, InvalidCursor};
pub use error::AppError;
pub use health::Health;
pub use limits::{DEFAULT_LIMIT, MAX_LIMIT};
pub use page::{ItemPage, PageQuery, check_limit};
pub use refusal::{Refusal, RefusalKind};
