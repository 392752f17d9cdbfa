#![doc = include_str!("personal.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod append_order;
mod decrypt;
mod document_keys;
mod encrypt;
mod encryption_key;
mod erase;
mod error;
mod key_cache;
mod key_store;
mod log_keys;
mod master_key;
mod personal_categories;
mod store;

pub use document_keys::DocumentKeys;
pub use encryption_key::EncryptionKey;
pub use erase::Erased;
pub use error::KeyError;
pub use factum_core::personal::{PersonalField, Pseudonym, Subject, TAG};
pub use factum_engine::personal::Redacted;
pub use key_store::{KeyState, KeyStore};
pub use master_key::{InvalidMasterKey, MasterKey};
pub use store::PersonalDataStore;
