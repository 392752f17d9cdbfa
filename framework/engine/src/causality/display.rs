//! Formatting a tree of causes as indented lines.

use std::fmt;

use crate::causality::tree::{CausalEvent, CausalTree};

/// The maximum depth that is shown by indentation. A deeper event shows its depth as a number.
const MAX_INDENTED: usize = 20;

impl fmt::Display for CausalTree {
    /// Formats each event as a line, then the position after which events are missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in self.events() {
            writeln!(f, "{event}")?;
        }
        if !self.is_complete() {
            writeln!(f, "… more events after position {}", self.through())?;
        }
        Ok(())
    }
}

impl fmt::Display for CausalEvent {
    /// Formats the event, for example `account.withdrawn (account-1 version 2, position 7) by alice: rent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:1$}", "", 2 * self.depth.min(MAX_INDENTED))?;
        if self.depth > MAX_INDENTED {
            write!(f, "[{}] ", self.depth)?;
        }
        let Self {
            name,
            stream,
            version,
            position,
            ..
        } = self;
        write!(
            f,
            "{name} ({stream} version {version}, position {position})"
        )?;
        if let Some(actor) = &self.metadata.actor {
            write!(f, " by {}", SingleLine(actor))?;
        }
        if let Some(reason) = &self.metadata.reason {
            write!(f, ": {}", SingleLine(reason))?;
        }
        match self.metadata.causation_id {
            Some(cause) if self.depth == 0 => write!(f, ", caused by {cause}"),
            _ => Ok(()),
        }
    }
}

/// A text of a user, with control characters escaped so that it stays on one line.
struct SingleLine<'t>(&'t str);

impl fmt::Display for SingleLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            let text = part.trim_end_matches(char::is_control);
            write!(f, "{text}{}", part[text.len()..].escape_default())?;
        }
        Ok(())
    }
}
