//! [`LockError`]: the error of comparing event types with a schema lock file.

use std::fmt;

/// The error of comparing event types with a schema lock file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The code could not read stored events, or not find them by their tags.
    #[error("the types are not compatible with stored events:\n{}", list(.0))]
    Incompatible(Vec<Incompatibility>),
    /// The text is not a schema lock file.
    #[error("invalid schema lock file; restore it from version control")]
    InvalidFile(#[from] serde_json::Error),
}

fn list(incompatibilities: &[Incompatibility]) -> String {
    let items = incompatibilities.iter();
    items.map(|item| format!("\n- {item}")).collect()
}

/// A reason why the code cannot read stored events, or cannot find them by their tags.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incompatibility {
    /// The schema of an event type has changed, but its version has not.
    Unreadable {
        /// The event type.
        event: String,
        /// The version that is stored.
        version: u32,
        /// The path of the field, e.g. `address.street` or `lines[].amount`; empty for the event as a whole.
        field: String,
        /// The difference between the stored field and the field in the code.
        reason: String,
    },
    /// An event type is stored, but is not in the code any more.
    Removed {
        /// The event type.
        event: String,
        /// A new event type with the same schema.
        renamed_to: Option<String>,
    },
    /// The version in the code is lower than the stored version.
    VersionLowered {
        /// The event type.
        event: String,
        /// The version that is stored.
        locked: u32,
        /// The version in the code.
        version: u32,
    },
    /// The code does not have one upcaster for each step up to the version.
    MissingUpcasters {
        /// The event type.
        event: String,
        /// The version in the code.
        version: u32,
        /// The number of upcasters in the code.
        upcasters: usize,
    },
    /// A type in `legacy` reads stored events, but was not added to the lock.
    LegacyTypeNotAdded {
        /// The event type.
        event: String,
        /// The version that is stored.
        version: u32,
    },
    /// New events have a tag that stored events of the same type do not have.
    TagAdded {
        /// The event type.
        event: String,
        /// The key of the tag.
        tag: String,
    },
    /// Stored events have a tag that new events of the same type will not have.
    TagRemoved {
        /// The event type.
        event: String,
        /// The key of the tag.
        tag: String,
        /// A tag that was added at the same time.
        renamed_to: Option<String>,
    },
    /// An event type is declared as retired, but is in the code.
    RetiredInUse {
        /// The event type.
        event: String,
    },
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable {
                event,
                version,
                field,
                reason,
            } => {
                write!(f, "{event} version {version}: ")?;
                match &**field {
                    "" => f.write_str("the event")?,
                    field => write!(f, "`{field}`")?,
                }
                let next = u64::from(*version) + 1;
                write!(
                    f,
                    " {reason}; keep the old schema readable, or raise the version to {next} and add the upcaster \
                     from version {version} to {next}: `#[event(version = {next}, upcast = …)]`"
                )
            }
            Self::Removed { event, renamed_to } => {
                write!(f, "{event} is stored, but is not in the code any more; ")?;
                match renamed_to {
                    Some(name) => write!(
                        f,
                        "{name} has the same schema: if it was renamed, keep the event type with `#[event(name = \
                         \"{event}\")]`, or keep the new one with `#[event(alias = \"{event}\")]`"
                    )?,
                    None => f.write_str("restore it or its event type")?,
                }
                write!(
                    f,
                    ", or if no store contains one, declare it with `.retired(\"{event}\")`"
                )
            }
            Self::VersionLowered {
                event,
                locked,
                version,
            } => write!(
                f,
                "{event} is stored in version {locked}, but the code has version {version}; do not lower a version"
            ),
            Self::MissingUpcasters {
                event,
                version,
                upcasters,
            } => write!(
                f,
                "{event} version {version} has {upcasters} upcaster{}; it needs {}, one for each step from version 1",
                if *upcasters == 1 { "" } else { "s" },
                version.saturating_sub(1)
            ),
            Self::LegacyTypeNotAdded { event, version } => write!(
                f,
                "{event} version {version} is read by a type in `legacy` that the lock does not contain; add the type \
                 with `.legacy::<…>()`, and derive `JsonSchema` for it"
            ),
            Self::TagAdded { event, tag } => write!(
                f,
                "{event} has the new tag `{tag}`, which stored events do not have: a DCB query by this tag does not \
                 find them; tag the stored events with `copy_events(…).retag::<…>()`, or use a new event type; declare \
                 the change with `.tag_changed(\"{event}\", \"{tag}\")` if the events are tagged, or if no decision \
                 needs them"
            ),
            Self::TagRemoved {
                event,
                tag,
                renamed_to,
            } => {
                write!(
                    f,
                    "stored events of the type {event} have the tag `{tag}`, but new ones will not: a DCB query by \
                     this tag does not find them; "
                )?;
                match renamed_to {
                    Some(new) => write!(
                        f,
                        "if the field was renamed to `{new}`, keep the tag with `#[tag(\"{tag}\")]`"
                    )?,
                    None => write!(f, "keep the tag with `#[tag(\"{tag}\")]` on a field")?,
                }
                write!(
                    f,
                    ", or if no decision needs it, declare the change with `.tag_changed(\"{event}\", \"{tag}\")`"
                )
            }
            Self::RetiredInUse { event } => write!(
                f,
                "{event} is declared as retired, but is in the code; remove `.retired(\"{event}\")`"
            ),
        }
    }
}
