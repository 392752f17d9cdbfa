//! The differences between the versions of a specification.

mod domain;

pub use domain::{
    Change, ChangeKind, Changes, Class, DocumentEdit, DocumentPatch, Edit, Hints, Item, ListPatch,
    MAX_CHANGES, MapPatch, Patch, PatchMismatch, Proposal, UnknownVersion, patch, unified,
};
