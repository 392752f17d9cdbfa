//! The differences between the versions of a specification.

mod domain;

pub use domain::{
    ChangeKind, Class, DocumentEdit, DocumentPatch, Edit, Hints, Item, ListPatch, MAX_CHANGES,
    MapPatch, Patch, PatchMismatch, UnknownVersion, ValueChange, ValueChanges, VersionProposal,
    patch, unified,
};
