//! [`Frame`]: the part that all pages share.

/// The header and the footer of a page.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// The current section of the navigation.
    pub section: &'static str,
    /// The name of the visitor, if the page shows it.
    pub actor: Option<String>,
}

impl Frame {
    /// Returns the version of the program.
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
