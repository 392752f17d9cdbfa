//! The assignment of partitions to the consumers of one server process.

use std::collections::BTreeMap;

use super::window::SessionId;

/// The changes that distribute partitions evenly.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AssignmentPlan {
    /// The free partitions, and the sessions that get them.
    pub assign: Vec<(u16, SessionId)>,
    /// The partitions that their sessions must return.
    pub take_back: Vec<u16>,
}

/// Plans the changes after which no session has two partitions more than another one.
///
/// `owned` contains the partitions of each session, without those that it returns already. `returning` is the number of
/// the latter. As few partitions as possible change their session.
pub fn plan(
    owned: &BTreeMap<SessionId, Vec<u16>>,
    free: &[u16],
    returning: usize,
) -> AssignmentPlan {
    let mut plan = AssignmentPlan::default();
    if owned.is_empty() {
        return plan;
    }
    let mut loads: BTreeMap<SessionId, usize> =
        owned.iter().map(|(id, list)| (*id, list.len())).collect();
    for partition in free {
        let smallest = loads.iter_mut().min_by_key(|(_, load)| **load);
        if let Some((session, load)) = smallest {
            *load += 1;
            plan.assign.push((*partition, *session));
        }
    }
    let mut lists = owned.clone();
    let mut coming = returning;
    loop {
        let largest = loads.iter().max_by_key(|(_, load)| **load);
        let smallest = loads.iter().min_by_key(|(_, load)| **load);
        let (Some((&from, &most)), Some((&to, &least))) = (largest, smallest) else {
            return plan;
        };
        if coming > 0 && least < most {
            // A partition that is returned already will go to the smallest session.
            coming -= 1;
            *loads.entry(to).or_default() += 1;
            continue;
        }
        let Some(partition) = lists
            .get_mut(&from)
            .filter(|_| most > least + 1)
            .and_then(Vec::pop)
        else {
            return plan;
        };
        plan.take_back.push(partition);
        *loads.entry(from).or_default() -= 1;
        *loads.entry(to).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(lists: &[&[u16]]) -> BTreeMap<SessionId, Vec<u16>> {
        let lists = lists.iter().enumerate();
        lists
            .map(|(id, list)| (SessionId(id as u64), list.to_vec()))
            .collect()
    }

    #[test]
    fn free_partitions_go_to_the_smallest_sessions() {
        let plan = plan(&owned(&[&[0], &[], &[]]), &[1, 2, 3], 0);
        let expected = [(1, 1), (2, 2), (3, 0)].map(|(at, id)| (at, SessionId(id)));
        assert_eq!(plan.assign, expected);
        assert!(plan.take_back.is_empty());
    }

    #[test]
    fn new_session_gets_its_share_and_no_more() {
        let before = owned(&[&[0, 1, 2, 3], &[4, 5, 6, 7], &[]]);
        let plan = plan(&before, &[], 0);
        assert!(plan.assign.is_empty());
        assert_eq!(plan.take_back, [7, 3]);
    }

    #[test]
    fn returning_partitions_are_not_taken_twice() {
        let before = owned(&[&[0, 1, 2], &[4, 5, 6], &[]]);
        assert!(plan(&before, &[], 2).take_back.is_empty());
    }
}
