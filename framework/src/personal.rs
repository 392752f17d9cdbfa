#![doc = include_str!("personal/personal.md")]

mod mark;
mod redacted;

#[cfg(feature = "personal")]
mod document_keys;
#[cfg(feature = "personal")]
mod envelope;
#[cfg(feature = "personal")]
mod error;
#[cfg(feature = "personal")]
mod forget;
#[cfg(feature = "personal")]
mod held;
#[cfg(feature = "personal")]
mod in_order;
#[cfg(feature = "personal")]
mod key;
#[cfg(feature = "personal")]
mod key_store;
#[cfg(feature = "personal")]
mod object;
#[cfg(feature = "personal")]
mod open;
#[cfg(feature = "personal")]
mod seal;
#[cfg(feature = "personal")]
mod store;

pub use mark::{PersonalField, Subject};
pub use redacted::Redacted;

#[doc(hidden)]
pub use mark::{Mark, mark, marked, subject};

#[cfg(feature = "personal")]
pub use document_keys::DocumentKeys;
#[cfg(feature = "personal")]
pub use error::{InvalidMasterKey, KeyError};
#[cfg(feature = "personal")]
pub use forget::Forgotten;
#[cfg(feature = "personal")]
pub use key::{Key, MasterKey, Pseudonym};
#[cfg(feature = "personal")]
pub use key_store::{KeyState, KeyStore};
#[cfg(feature = "personal")]
pub use store::PersonalDataStore;

#[cfg(feature = "personal")]
pub(crate) use open::redact;

/// The key of the tag that a store gives to events with personal data; its value is the
/// pseudonym of the subject.
pub const TAG: &str = "personal";
