//! A tree as indented lines.

use std::fmt;

use super::tree::{CausalEvent, CausalTree};

/// An event below more than this many says how deep it is, instead of being moved to the right any further.
const MOST_INDENTED: usize = 20;

impl fmt::Display for CausalTree {
    /// A line for each event; behind them, what the tree leaves out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in self.events() {
            writeln!(f, "{event}")?;
        }
        if !self.is_complete() {
            writeln!(f, "… and more behind position {}", self.through())?;
        }
        Ok(())
    }
}

impl fmt::Display for CausalEvent {
    /// E.g. `account.withdrawn (account-1 version 2, position 7) by alice: rent`, indented by its depth.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:1$}", "", 2 * self.depth.min(MOST_INDENTED))?;
        if self.depth > MOST_INDENTED {
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
            write!(f, " by {}", Line(actor))?;
        }
        if let Some(reason) = &self.metadata.reason {
            write!(f, ": {}", Line(reason))?;
        }
        match self.metadata.causation_id {
            Some(cause) if self.depth == 0 => write!(f, ", caused by {cause}"),
            _ => Ok(()),
        }
    }
}

/// A text of somebody else, in one line whatever it holds.
struct Line<'t>(&'t str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            let text = part.trim_end_matches(char::is_control);
            write!(f, "{text}{}", part[text.len()..].escape_default())?;
        }
        Ok(())
    }
}
