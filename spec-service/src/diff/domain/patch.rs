//! [`Patch`]: the difference of two contents as a value that can be applied.

use std::collections::BTreeMap;

use thiserror::Error;

use super::matching::{Matches, matches};
use crate::content::{TreeNode, Value};

/// The difference between the documents of two contents.
///
/// `patch(a, b).apply(a)` equals `b`. A patch of equal documents is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// The changed documents, in their order. Documents are compared by their place.
    pub documents: Vec<DocumentPatch>,
}

/// The difference between two documents.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentPatch {
    /// The place of the document, from 0.
    pub index: usize,
    /// The difference.
    pub edit: DocumentEdit,
}

/// The change of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum DocumentEdit {
    /// The document is new.
    Added(TreeNode),
    /// The document is gone.
    Removed(TreeNode),
    /// A part of the document is another.
    Edited(Edit),
}

/// The difference between two values.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// The value is another.
    Replaced {
        /// The value before.
        before: TreeNode,
        /// The value after.
        after: TreeNode,
    },
    /// Entries of a mapping are others.
    Map(MapPatch),
    /// Items of a list are others, or in another order.
    List(ListPatch),
}

/// The difference between two mappings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MapPatch {
    /// The entries that are gone.
    pub removed: BTreeMap<String, TreeNode>,
    /// The entries that are new.
    pub added: BTreeMap<String, TreeNode>,
    /// The entries that have another value.
    pub edited: BTreeMap<String, Edit>,
}

/// The difference between two lists.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPatch {
    /// The number of items before.
    pub length: usize,
    /// The items that are gone, with their places before.
    pub removed: Vec<(usize, TreeNode)>,
    /// The items after, in their order.
    pub items: Vec<Item>,
}

/// An item of a list after a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The item is new.
    Added(TreeNode),
    /// The item was in the list before.
    Kept {
        /// The place before, from 0.
        from: usize,
        /// Whether the order of the kept items is another because of this one.
        moved: bool,
        /// The difference to the item before, if there is one.
        edit: Option<Box<Edit>>,
    },
}

/// The error of [`Patch::apply`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the patch does not fit; apply it to the content that it was made from")]
pub struct PatchMismatch;

/// Returns the difference between the documents `before` and `after`.
#[must_use]
pub fn patch(before: &[TreeNode], after: &[TreeNode]) -> Patch {
    let edit = |index: usize| match (before.get(index), after.get(index)) {
        (Some(before), Some(after)) => edit(before, after).map(DocumentEdit::Edited),
        (Some(before), None) => Some(DocumentEdit::Removed(before.clone())),
        (None, Some(after)) => Some(DocumentEdit::Added(after.clone())),
        (None, None) => None,
    };
    let all = 0..before.len().max(after.len());
    let documents = all.filter_map(|index| edit(index).map(|edit| DocumentPatch { index, edit }));
    Patch {
        documents: documents.collect(),
    }
}

/// Returns the difference between two values, or `None` if they are equal.
fn edit(before: &TreeNode, after: &TreeNode) -> Option<Edit> {
    if before == after {
        return None;
    }
    let same_tag = before.tag() == after.tag();
    Some(match (before.value(), after.value()) {
        (Value::Map(old), Value::Map(new)) if same_tag => Edit::Map(map(old, new)),
        (Value::List(old), Value::List(new)) if same_tag => Edit::List(list(old, new)),
        _ => Edit::Replaced {
            before: before.clone(),
            after: after.clone(),
        },
    })
}

fn map(before: &BTreeMap<String, TreeNode>, after: &BTreeMap<String, TreeNode>) -> MapPatch {
    let mut patch = MapPatch::default();
    for (key, old) in before {
        match after.get(key) {
            None => {
                patch.removed.insert(key.clone(), old.clone());
            }
            Some(new) => {
                if let Some(edit) = edit(old, new) {
                    patch.edited.insert(key.clone(), edit);
                }
            }
        }
    }
    let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
    patch.added = added.map(|(key, new)| (key.clone(), new.clone())).collect();
    patch
}

/// Returns the difference between two lists.
fn list(before: &[TreeNode], after: &[TreeNode]) -> ListPatch {
    let Matches { sources, in_order } = matches(before, after);
    let mut is_kept = vec![false; before.len()];
    let mut items = Vec::with_capacity(after.len());
    for (index, new) in after.iter().enumerate() {
        items.push(match sources[index] {
            None => Item::Added(new.clone()),
            Some(from) => {
                is_kept[from] = true;
                Item::Kept {
                    from,
                    moved: !in_order[index],
                    edit: edit(&before[from], new).map(Box::new),
                }
            }
        });
    }
    let gone = before
        .iter()
        .enumerate()
        .filter(|(index, _)| !is_kept[*index]);
    ListPatch {
        length: before.len(),
        removed: gone.map(|(index, old)| (index, old.clone())).collect(),
        items,
    }
}

impl Patch {
    /// Returns whether the documents are equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Applies the patch to the documents that it was made from.
    ///
    /// # Errors
    /// Returns [`PatchMismatch`] if a value that the patch changes or removes is another.
    pub fn apply(&self, before: &[TreeNode]) -> Result<Vec<TreeNode>, PatchMismatch> {
        let mut documents: Vec<TreeNode> = before.to_vec();
        // Removed documents are the last ones, so the places of the others do not change.
        for DocumentPatch { index, edit } in self.documents.iter().rev() {
            match edit {
                DocumentEdit::Removed(old) if documents.get(*index) == Some(old) => {
                    documents.remove(*index);
                }
                DocumentEdit::Edited(edit) => {
                    let old = documents.get_mut(*index).ok_or(PatchMismatch)?;
                    *old = edit.apply(old)?;
                }
                DocumentEdit::Removed(_) => return Err(PatchMismatch),
                DocumentEdit::Added(_) => {}
            }
        }
        for DocumentPatch { index, edit } in &self.documents {
            if let DocumentEdit::Added(new) = edit {
                if *index != documents.len() {
                    return Err(PatchMismatch);
                }
                documents.push(new.clone());
            }
        }
        Ok(documents)
    }
}

impl Edit {
    /// Applies the difference to the value before it.
    fn apply(&self, node: &TreeNode) -> Result<TreeNode, PatchMismatch> {
        let value = match (self, node.value()) {
            (Self::Replaced { before, after }, _) if before == node => return Ok(after.clone()),
            (Self::Map(patch), Value::Map(entries)) => Value::Map(patch.apply(entries)?),
            (Self::List(patch), Value::List(items)) => Value::List(patch.apply(items)?),
            _ => return Err(PatchMismatch),
        };
        Ok(TreeNode::new(
            value,
            node.tag().map(str::to_owned),
            node.at(),
        ))
    }
}

impl MapPatch {
    fn apply(
        &self,
        before: &BTreeMap<String, TreeNode>,
    ) -> Result<BTreeMap<String, TreeNode>, PatchMismatch> {
        let mut entries = before.clone();
        for (key, old) in &self.removed {
            if entries.remove(key).as_ref() != Some(old) {
                return Err(PatchMismatch);
            }
        }
        for (key, edit) in &self.edited {
            let old = entries.get_mut(key).ok_or(PatchMismatch)?;
            *old = edit.apply(old)?;
        }
        for (key, new) in &self.added {
            if entries.insert(key.clone(), new.clone()).is_some() {
                return Err(PatchMismatch);
            }
        }
        Ok(entries)
    }
}

impl ListPatch {
    fn apply(&self, before: &[TreeNode]) -> Result<Vec<TreeNode>, PatchMismatch> {
        if before.len() != self.length {
            return Err(PatchMismatch);
        }
        for (index, old) in &self.removed {
            if before.get(*index) != Some(old) {
                return Err(PatchMismatch);
            }
        }
        let item = |item: &Item| match item {
            Item::Added(new) => Ok(new.clone()),
            Item::Kept { from, edit, .. } => {
                let old = before.get(*from).ok_or(PatchMismatch)?;
                match edit {
                    None => Ok(old.clone()),
                    Some(edit) => edit.apply(old),
                }
            }
        };
        self.items.iter().map(item).collect()
    }
}
