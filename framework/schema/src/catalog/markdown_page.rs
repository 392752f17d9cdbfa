//! [`MarkdownPage`]: a Markdown text, built from blocks.

use std::fmt::Write as _;

/// A Markdown text, built from blocks with an empty line between them.
pub struct MarkdownPage {
    text: String,
}

impl MarkdownPage {
    /// Creates a page with a title.
    pub fn new(title: &str) -> Self {
        Self {
            text: format!("# {title}\n"),
        }
    }

    pub fn heading(&mut self, heading: &str) {
        let _ = writeln!(self.text, "\n{heading}");
    }

    /// Adds a paragraph or a table, unless it is empty.
    pub fn paragraph(&mut self, text: &str) {
        if !text.trim().is_empty() {
            let _ = writeln!(self.text, "\n{}", text.trim());
        }
    }

    /// Adds a Mermaid diagram.
    pub fn diagram(&mut self, diagram: &str) {
        let _ = writeln!(self.text, "\n```mermaid\n{diagram}```");
    }

    /// Returns the text of the page.
    pub fn finish(self) -> String {
        self.text
    }
}
