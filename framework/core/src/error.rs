//! [`StoreError`]: the failure of a backend; [`Outage`]: the cause of a temporary one; [`Denied`]: a missing permission.

use std::any::Any;
use std::error::Error;
use std::{fmt, iter};

use crate::field::InvalidField;
use crate::position::Position;

/// A boxed error of any type.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The failure of a backend.
///
/// The variant decides whether a caller may retry. Only [`Unavailable`](Self::Unavailable) guarantees that nothing was
/// done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was done, and a retry may succeed.
    ///
    /// For example, a lock was not released in time, or the server is not reachable.
    #[error("the store is unavailable and did nothing; retry later")]
    Unavailable(#[source] Outage),
    /// The connection was lost before the answer arrived, and the request may have been carried out.
    #[error(
        "the connection to the store was lost before its answer arrived; the outcome is unknown"
    )]
    Interrupted(#[source] Outage),
    /// The request failed, and a retry will not help.
    ///
    /// The text is that of the cause.
    #[error(transparent)]
    Failed(BoxError),
    /// The backend contains data that no store writes.
    #[error("the store contains corrupt data: {0}")]
    Corrupt(String),
    /// The data was written by a newer version of the adapter.
    #[error(
        "the store has schema version {found}, this program supports up to {known}; update the program"
    )]
    NewerSchema {
        /// The schema version of the store.
        found: u32,
        /// The newest schema version that this program supports.
        known: u32,
    },
    /// The request violates a rule that holds for every store; nothing was read or stored.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// A reader continues after a position that the log does not have.
    ///
    /// The log was replaced or restored from a backup since the position was stored.
    #[error(
        "position {position} is beyond the head of the log: {head}; the log was replaced or restored from a backup, so \
         read it again from a position that it has"
    )]
    BeyondHead {
        /// The position after which the reader continues.
        position: Position,
        /// The position of the newest event.
        head: Position,
    },
    /// The store does not have this optional operation.
    #[error("the store does not support this operation: {operation}")]
    Unsupported {
        /// The operation, for example `import`.
        operation: &'static str,
    },
    /// The caller does not have a permission; nothing was read or stored.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store does not accept the credentials of the caller; nothing was read or stored.
    ///
    /// It contains the reason: they are missing, not valid, revoked or expired.
    #[error("not authenticated: {0}")]
    Unauthenticated(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The store cannot be opened as it was asked for.
    ///
    /// For example, the directory does not exist, or an option is not valid.
    #[error("cannot open the store: {0}")]
    CannotOpen(String),
    /// The store was opened to read only.
    #[error("the store was opened to read only; open it without `read_only` to write")]
    ReadOnly,
    /// The code of a SQL projection tried to write with anything but its own transaction.
    ///
    /// The write would wait for the transaction of the projection, and the transaction for the write.
    #[error(
        "a write inside of the projection {projection:?} would wait for itself; \
         use the `db` argument, or an event handler or a process manager"
    )]
    InsideProjection {
        /// The name of the projection.
        projection: &'static str,
    },
}

/// A permission that the caller of a store does not have.
///
/// The stores of this workspace give every permission to their program. A server limits its clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "permission denied: {principal} needs the permission `{permission}` for {resource}; \
     ask an operator for a role that has it"
)]
pub struct Denied {
    /// The caller, for example `user "shop"`.
    pub principal: String,
    /// The name of the permission, for example `append`.
    pub permission: String,
    /// The object of the request, for example `stream "order-7"`.
    pub resource: String,
}

/// The cause of a temporary failure of a store.
///
/// The failure is [`StoreError::Unavailable`] or [`StoreError::Interrupted`].
/// It is a source of every error that contains such a failure, also of errors that are transparent, boxed or generic, and
/// of those of `anyhow`. [`is_in`](Self::is_in) finds it. Any error and any text converts into it.
///
/// ```
/// use factum_core::error::{Outage, StoreError};
///
/// #[derive(Debug, thiserror::Error)]
/// #[error(transparent)]
/// struct StockError(#[from] StoreError);
///
/// let outage = StoreError::Unavailable("the disk is full".into());
/// assert!(Outage::is_in(&StockError(outage)));
/// assert!(!Outage::is_in(&StockError(StoreError::Closed)));
/// ```
pub struct Outage(Box<OutageCause>);

impl Outage {
    /// Returns whether `error` or one of its sources is an outage of a store.
    ///
    /// Such an error says nothing about the event or the command, and a retry may succeed.
    #[must_use]
    pub fn is_in(error: &(dyn Error + 'static)) -> bool {
        let mut chain = iter::successors(Some(error), |&error| error.source());
        chain.any(<dyn Error>::is::<OutageCause>)
    }

    /// Returns the error of the backend.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.0
    }
}

/// The error that represents an outage in a chain of sources.
///
/// [`Outage`] itself is no error, so that every error converts into it.
struct OutageCause(BoxError);

impl<E: Into<BoxError>> From<E> for Outage {
    fn from(cause: E) -> Self {
        Self(Box::new(OutageCause(cause.into())))
    }
}

impl std::ops::Deref for Outage {
    type Target = dyn Error + Send + Sync + 'static;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, f)
    }
}

impl fmt::Debug for OutageCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for OutageCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for OutageCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Returns the message of a panic.
#[doc(hidden)]
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("no message"))
}

/// Returns the message of an error and of all its sources.
#[doc(hidden)]
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let sources = iter::successors(error.source(), |&source| source.source());
    for source in sources.map(ToString::to_string) {
        // Some errors already include the message of their source.
        if !text.ends_with(&source) {
            text = format!("{text}: {source}");
        }
    }
    text
}
