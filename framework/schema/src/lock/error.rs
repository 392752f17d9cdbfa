//! [`LockError`]: what would become of stored events.

use std::fmt;

/// Why a lock on stored forms does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// What is stored would not be read any more.
    #[error("what is stored would not be read any more\n{}", listed(.0))]
    Broken(Vec<LockFault>),
    /// The file is not one that a lock has written.
    #[error("this is no lock of events: {0}")]
    Unparsable(#[from] serde_json::Error),
}

fn listed(faults: &[LockFault]) -> String {
    faults.iter().map(|fault| format!("\n- {fault}")).collect()
}

/// One reason why what is stored would not be read any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockFault {
    /// The form has changed, and the version has not.
    Unreadable {
        /// The stored name.
        event: String,
        /// The version that is stored.
        version: u32,
        /// The field, e.g. `address.street`, `lines[].amount`; empty for the event as a whole.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The stored name is not in the code any more.
    Gone {
        /// The stored name.
        event: String,
        /// A new name of the same form.
        instead: Option<String>,
    },
    /// The version is lower than the one that is stored.
    Lowered {
        /// The stored name.
        event: String,
        /// The version that is stored.
        locked: u32,
        /// The version in the code.
        version: u32,
    },
    /// There is not one upcaster for each step up to the version.
    Upcasters {
        /// The stored name.
        event: String,
        /// The version in the code.
        version: u32,
        /// How many upcasters there are.
        upcasters: usize,
    },
    /// A type in `legacy` reads what is stored, and the lock does not know that type.
    Unlocked {
        /// The stored name.
        event: String,
        /// The version that is stored.
        version: u32,
    },
    /// The stored name was declared retired, and is in the code.
    RetiredInUse {
        /// The stored name.
        event: String,
    },
}

impl fmt::Display for LockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable {
                event,
                version,
                field,
                reason,
            } => unreadable(f, (event, *version), (field, reason)),
            Self::Gone { event, instead } => {
                write!(f, "{event} is stored, and not in the code any more. ")?;
                match instead {
                    Some(name) => write!(
                        f,
                        "{name} has its form: if it was renamed, keep the stored name with `#[event(name = \
                         \"{event}\")]`. "
                    )?,
                    None => write!(f, "Put it back, or keep its stored name. ")?,
                }
                write!(
                    f,
                    "If no store holds one, declare it with `.retired(\"{event}\")`"
                )
            }
            Self::Lowered {
                event,
                locked,
                version,
            } => write!(
                f,
                "{event} is stored in version {locked}, and the code has version {version}: a version is never \
                 lowered"
            ),
            Self::Upcasters {
                event,
                version,
                upcasters,
            } => write!(
                f,
                "{event}, version {version}, needs an upcaster for each step up from version 1, {} in all, and \
                 has {upcasters}",
                version.saturating_sub(1)
            ),
            Self::Unlocked { event, version } => write!(
                f,
                "{event}, version {version}, is read by a type in `legacy` that nothing holds to its form: add \
                 `.legacy::<…>()` with that type, which derives `JsonSchema`"
            ),
            Self::RetiredInUse { event } => write!(
                f,
                "{event} is declared retired, and is in the code: remove `.retired(\"{event}\")`"
            ),
        }
    }
}

fn unreadable(
    f: &mut fmt::Formatter<'_>,
    (event, version): (&str, u32),
    (field, reason): (&str, &str),
) -> fmt::Result {
    let next = u64::from(version) + 1;
    let field = match field {
        "" => "the event".to_owned(),
        field => format!("`{field}`"),
    };
    write!(
        f,
        "{event}, version {version}: {field} {reason}. The upcaster from version {version} to {next} is missing: raise the \
         version to {next} and write it (`#[event(version = {next}, upcast = …)]`), or keep the old form readable"
    )
}
