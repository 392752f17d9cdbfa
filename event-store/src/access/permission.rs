//! [`Permission`]: the right of a caller to use objects of the server.

/// The right of a caller to use objects of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Reads the events of a stream, its description and its snapshot.
    Read,
    /// Appends events to a stream, and saves its snapshot.
    Append,
    /// Reads and changes a document.
    Documents,
    /// Manages a consumer group, and consumes its events.
    Groups,
    /// Does everything, including imports and other tasks of operators.
    Admin,
}

impl Permission {
    /// Returns the name of the permission in the file of users and in errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Append => "append",
            Self::Documents => "documents",
            Self::Groups => "groups",
            Self::Admin => "admin",
        }
    }
}
