//! [`ValueChanges`]: the difference of two contents as a list for people and programs.

use std::fmt;

use serde::Serialize;

use super::class::Class;
use super::hints::Hints;
use super::patch::{DocumentEdit, Edit, Item, ListPatch, MapPatch, Patch};
use crate::content::{Location, Scalar, TreeNode, Value};

/// The maximum number of changes in a list. Further changes are counted and classified only.
pub const MAX_CHANGES: usize = 1_000;
/// The maximum number of bytes of all pointers and values in a list.
const MAX_BYTES: usize = 1 << 20;

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The value is new.
    Added,
    /// The value is gone.
    Removed,
    /// The value is another.
    Changed,
    /// The item of a list is in another place.
    Moved,
}

impl ChangeKind {
    /// Returns the name of the kind, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Moved => "moved",
        }
    }
}

/// One change between two contents.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueChange {
    /// The kind of the change.
    pub kind: ChangeKind,
    /// The effect on readers.
    pub class: Class,
    /// The number of the YAML document, from 1.
    pub document: usize,
    /// The JSON pointer to the value: after the change, or before it if the value is gone.
    pub pointer: String,
    /// The JSON pointer to the value before the change, if it is another.
    pub from: Option<String>,
    /// The value before the change, unless it is new or only moved.
    pub before: Option<serde_json::Value>,
    /// The value after the change, unless it is gone or only moved.
    pub after: Option<serde_json::Value>,
    /// The location of the value before the change.
    pub before_at: Option<Location>,
    /// The location of the value after the change.
    pub after_at: Option<Location>,
}

/// The changes between two contents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ValueChanges {
    /// The first changes, in the order of the documents.
    pub list: Vec<ValueChange>,
    /// The number of all changes.
    pub total: usize,
    /// The strongest class of all changes.
    pub class: Class,
}

impl ValueChanges {
    /// Lists the changes of `patch`.
    ///
    /// The class of each follows from `hints`, or from the general rules without hints.
    #[must_use]
    pub fn new(patch: &Patch, hints: Hints<'_>) -> Self {
        let mut list = ChangeList::default();
        for document in &patch.documents {
            list.document = document.index + 1;
            match &document.edit {
                DocumentEdit::Added(node) => list.added(node, hints),
                DocumentEdit::Removed(node) => list.removed(node, hints),
                DocumentEdit::Edited(edit) => list.edited(edit, hints),
            }
        }
        list.changes
    }
}

/// A step from a value to one of its parts.
#[derive(Clone, Copy)]
enum Step<'p> {
    TreeKey(&'p str),
    /// The places before and after the change. One of them is missing for an item that is new or gone.
    Item(Option<usize>, Option<usize>),
}

/// The changes so far, and the place in the documents.
#[derive(Default)]
struct ChangeList<'p> {
    changes: ValueChanges,
    bytes: usize,
    document: usize,
    path: Vec<Step<'p>>,
}

impl<'p> ChangeList<'p> {
    fn edited(&mut self, edit: &'p Edit, hints: Hints<'_>) {
        match edit {
            Edit::Replaced { before, after } => self.replaced(before, after, hints),
            Edit::Map(patch) => self.map(patch, hints),
            Edit::List(patch) => self.list(patch, hints),
        }
    }

    fn map(&mut self, patch: &'p MapPatch, hints: Hints<'_>) {
        for (key, node) in &patch.removed {
            self.at(Step::TreeKey(key), |list| {
                list.removed(node, hints.entry(key));
            });
        }
        for (key, node) in &patch.added {
            self.at(Step::TreeKey(key), |list| {
                list.added(node, hints.entry(key));
            });
        }
        for (key, edit) in &patch.edited {
            self.at(Step::TreeKey(key), |list| {
                list.edited(edit, hints.entry(key));
            });
        }
    }

    fn list(&mut self, patch: &'p ListPatch, hints: Hints<'_>) {
        for (from, node) in &patch.removed {
            let step = Step::Item(Some(*from), None);
            self.at(step, |list| list.removed(node, hints.item(*from)));
        }
        for (index, item) in patch.items.iter().enumerate() {
            match item {
                Item::Added(node) => {
                    let step = Step::Item(None, Some(index));
                    self.at(step, |list| list.added(node, hints.item(index)));
                }
                Item::Kept { from, moved, edit } => {
                    self.at(Step::Item(Some(*from), Some(index)), |list| {
                        if *moved {
                            list.moved(hints, hints.item(index));
                        }
                        if let Some(edit) = edit {
                            list.edited(edit, hints.item(index));
                        }
                    });
                }
            }
        }
    }

    fn at(&mut self, step: Step<'p>, visit: impl FnOnce(&mut Self)) {
        self.path.push(step);
        visit(self);
        self.path.pop();
    }

    fn added(&mut self, node: &TreeNode, hints: Hints<'_>) {
        let class = if hints.is_default(node) {
            Class::Cosmetic
        } else {
            Class::Compatible
        };
        self.push(ChangeKind::Added, class, hints, None, Some(node));
    }

    fn removed(&mut self, node: &TreeNode, hints: Hints<'_>) {
        let class = if hints.is_default(node) {
            Class::Cosmetic
        } else if hints.is_deprecated() {
            Class::Compatible
        } else {
            Class::Breaking
        };
        self.push(ChangeKind::Removed, class, hints, Some(node), None);
    }

    fn replaced(&mut self, before: &TreeNode, after: &TreeNode, hints: Hints<'_>) {
        let was_null = matches!(before.value(), Value::Scalar(Scalar::Null));
        let same_kind = before.kind() == after.kind() && before.tag() == after.tag();
        let class = if same_kind || was_null {
            Class::Compatible
        } else {
            Class::Breaking
        };
        self.push(ChangeKind::Changed, class, hints, Some(before), Some(after));
    }

    fn moved(&mut self, list: Hints<'_>, item: Hints<'_>) {
        let class = if list.is_set() {
            Class::Cosmetic
        } else {
            Class::Compatible
        };
        self.push(ChangeKind::Moved, class, item, None, None);
    }

    fn push(
        &mut self,
        kind: ChangeKind,
        class: Class,
        hints: Hints<'_>,
        before: Option<&TreeNode>,
        after: Option<&TreeNode>,
    ) {
        let class = hints.class().unwrap_or(class);
        self.changes.class = self.changes.class.max(class);
        self.changes.total += 1;
        if self.changes.list.len() >= MAX_CHANGES || self.bytes >= MAX_BYTES {
            return;
        }
        let old = pointer(&self.path, Option::or);
        let new = pointer(&self.path, |before, after| after.or(before));
        let (pointer, from) = match kind {
            ChangeKind::Removed => (old, None),
            _ => (
                new.clone(),
                (old != new && kind != ChangeKind::Added).then_some(old),
            ),
        };
        let change = ValueChange {
            kind,
            class,
            document: self.document,
            pointer,
            from,
            before: before.map(describe),
            after: after.map(describe),
            before_at: before.map(TreeNode::at),
            after_at: after.map(TreeNode::at),
        };
        let length = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or(0, |value| value.to_string().len())
        };
        self.bytes += change.pointer.len() + change.from.as_ref().map_or(0, String::len);
        self.bytes += length(&change.before) + length(&change.after);
        self.changes.list.push(change);
    }
}

/// Returns the value as JSON, in an object with the tag as its key if it has one.
fn describe(node: &TreeNode) -> serde_json::Value {
    match node.tag() {
        None => node.to_json(),
        Some(tag) => serde_json::json!({ tag: node.to_json() }),
    }
}

/// Formats a JSON pointer (RFC 6901).
fn pointer(
    path: &[Step<'_>],
    index: impl Fn(Option<usize>, Option<usize>) -> Option<usize>,
) -> String {
    let mut text = String::new();
    for step in path {
        text.push('/');
        match step {
            Step::TreeKey(key) => text.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Step::Item(before, after) => {
                let index = index(*before, *after).unwrap_or_default();
                text.push_str(&index.to_string());
            }
        }
    }
    text
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
