#![doc = include_str!("personal.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod document_keys;
mod error;
mod forget;
mod held;
mod in_order;
mod key;
mod key_store;
mod open;
mod seal;
mod store;

pub use document_keys::DocumentKeys;
pub use error::{InvalidMasterKey, KeyError};
pub use factum_core::personal::{PersonalField, Pseudonym, Subject, TAG};
pub use factum_engine::personal::Redacted;
pub use forget::Forgotten;
pub use key::{Key, MasterKey};
pub use key_store::{KeyState, KeyStore};
pub use store::PersonalDataStore;
