//! The sizes of pages and messages; splits events and documents into messages of a moderate size.

/// The size of the events of a subscription that are read together, in bytes.
///
/// A subscription keeps the message that its client does not receive, and at most one further page.
pub const SUBSCRIPTION_PAGE: usize = 64 * 1024;
/// The size of the events of a read that are read together, in bytes.
pub const READ_PAGE: usize = 256 * 1024;
/// The size in bytes at which a message ends. One event may be larger.
const MAX_PART: usize = 1024 * 1024;

/// Splits `items` into parts of at most `max_count`, whose sizes by `size` end at one mebibyte.
pub fn split<T>(
    items: impl IntoIterator<Item = T>,
    max_count: usize,
    size: impl Fn(&T) -> usize,
) -> Vec<Vec<T>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for item in items {
        let item_bytes = size(&item);
        if part.len() >= max_count || !part.is_empty() && bytes + item_bytes > MAX_PART {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += item_bytes;
        part.push(item);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_at_their_limits_and_lose_nothing() {
        let parts = |sizes: &[usize], max| split(sizes.to_vec(), max, |size| *size);
        assert_eq!(parts(&[], 2), Vec::<Vec<usize>>::new());
        assert_eq!(parts(&[1, 2, 3], 2), [vec![1, 2], vec![3]]);
        let large = MAX_PART + 1;
        assert_eq!(parts(&[1, large, 2], 9), [vec![1], vec![large], vec![2]]);
        assert_eq!(
            parts(&[MAX_PART - 1, 1, 1], 9),
            [vec![MAX_PART - 1, 1], vec![1]]
        );
    }
}
