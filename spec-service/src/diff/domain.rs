//! The difference of two contents, independent of tokio, SQL and HTTP.

mod change;
mod class;
mod hints;
mod matching;
mod patch;
mod text;

pub use change::{ChangeKind, MAX_CHANGES, ValueChange, ValueChanges};
pub use class::{Class, UnknownVersion, VersionProposal};
pub use hints::Hints;
pub use patch::{
    DocumentEdit, DocumentPatch, Edit, Item, ListPatch, MapPatch, Patch, PatchMismatch, patch,
};
pub use text::unified;
