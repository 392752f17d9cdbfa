//! The comparison of lists.
//!
//! Items are matched in three steps, each in linear time:
//!
//! 1. If every item of both lists is a mapping with its own `id`, `name` or `key`, items with the same one match.
//! 2. Otherwise, equal items match, the first with the first.
//! 3. Items that are left over between the same matched neighbors match in their order, if they have the same kind.
//!
//! Items that match and are not in their old order have moved. As few items as possible count as moved.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::content::{Scalar, TreeNode, Value};

/// The keys that identify the items of a list, the best first.
const IDENTITY_KEYS: [&str; 3] = ["id", "name", "key"];

/// The items of a list after a change that match items before it.
pub struct Matches {
    /// The place before of each item after, if it matches one.
    pub sources: Vec<Option<usize>>,
    /// Whether each item after matches, and is in the old order.
    pub in_order: Vec<bool>,
}

/// Matches the items of two lists.
pub fn matches(before: &[TreeNode], after: &[TreeNode]) -> Matches {
    let sources = match identities(before, after) {
        Some((old, new)) => matched_by_identity(&old, &new),
        None => matched_by_value(before, after),
    };
    let in_order = longest_increasing(&sources);
    Matches { sources, in_order }
}

/// Returns the value of each item that identifies it, in both lists.
fn identities<'n>(
    before: &'n [TreeNode],
    after: &'n [TreeNode],
) -> Option<(Vec<&'n TreeNode>, Vec<&'n TreeNode>)> {
    IDENTITY_KEYS.iter().find_map(|key| {
        let old = identities_by(key, before)?;
        identities_by(key, after).map(|new| (old, new))
    })
}

fn identities_by<'n>(key: &str, items: &'n [TreeNode]) -> Option<Vec<&'n TreeNode>> {
    let identity = |item: &'n TreeNode| match item.value() {
        Value::Map(entries) => entries.get(key).filter(|node| {
            matches!(
                node.value(),
                Value::Scalar(Scalar::Int(_) | Scalar::Text(_))
            )
        }),
        _ => None,
    };
    let all: Vec<&TreeNode> = items.iter().map(identity).collect::<Option<_>>()?;
    let distinct: HashSet<&TreeNode> = all.iter().copied().collect();
    (distinct.len() == all.len()).then_some(all)
}

fn matched_by_identity(before: &[&TreeNode], after: &[&TreeNode]) -> Vec<Option<usize>> {
    let places = before.iter().enumerate();
    let places: HashMap<&TreeNode, usize> = places.map(|(index, node)| (*node, index)).collect();
    after.iter().map(|node| places.get(node).copied()).collect()
}

fn matched_by_value(before: &[TreeNode], after: &[TreeNode]) -> Vec<Option<usize>> {
    let mut places: HashMap<&TreeNode, VecDeque<usize>> = HashMap::new();
    for (index, node) in before.iter().enumerate() {
        places.entry(node).or_default().push_back(index);
    }
    let mut take = |node: &TreeNode| places.get_mut(node)?.pop_front();
    let mut sources: Vec<Option<usize>> = after.iter().map(&mut take).collect();
    match_leftovers(before, after, &mut sources);
    sources
}

/// Matches the items that are left over between two neighbors that are in order in both lists.
fn match_leftovers(before: &[TreeNode], after: &[TreeNode], sources: &mut [Option<usize>]) {
    let in_order = longest_increasing(sources);
    let mut is_taken = vec![false; before.len()];
    for from in sources.iter().flatten() {
        is_taken[*from] = true;
    }
    // The next item before that can match, and the next neighbor that ends a gap.
    let mut next = 0;
    let mut ends = (0..after.len()).filter(|index| in_order[*index]);
    let mut end = ends.next();
    for index in 0..after.len() {
        if let Some(from) = sources[index] {
            if in_order[index] {
                next = from + 1;
                end = ends.find(|end| *end > index);
            }
            continue;
        }
        let limit = end.and_then(|end| sources[end]).unwrap_or(before.len());
        while next < limit && is_taken[next] {
            next += 1;
        }
        if next < limit && before[next].kind() == after[index].kind() {
            sources[index] = Some(next);
            is_taken[next] = true;
            next += 1;
        }
    }
}

/// Returns for each item whether it is in the longest sequence of matched items in their old order.
fn longest_increasing(sources: &[Option<usize>]) -> Vec<bool> {
    // The index of the item that ends the best sequence of each length, and the item before each item.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = vec![None; sources.len()];
    for (index, source) in sources.iter().enumerate() {
        let Some(source) = source else { continue };
        let length = ends.partition_point(|end| sources[*end] < Some(*source));
        previous[index] = length.checked_sub(1).map(|last| ends[last]);
        if length == ends.len() {
            ends.push(index);
        } else {
            ends[length] = index;
        }
    }
    let mut in_order = vec![false; sources.len()];
    let mut next = ends.last().copied();
    while let Some(index) = next {
        in_order[index] = true;
        next = previous[index];
    }
    in_order
}
