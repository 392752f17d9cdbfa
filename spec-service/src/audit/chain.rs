//! [`Chain`]: the hashes that connect the records of a report.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The hash before the first record.
pub const FIRST_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hashes that connect the records of a report.
///
/// The hash of a record is the SHA-256 of the previous hash and of the fields, each as `LENGTH:FIELD,` with its length
/// in bytes. A changed, removed or moved record changes all later hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    last: String,
    count: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            last: FIRST_HASH.to_owned(),
            count: 0,
        }
    }
}

impl Chain {
    /// Adds a record, and returns its hash.
    pub fn add<'f>(&mut self, fields: impl IntoIterator<Item = &'f str>) -> &str {
        let mut hash = Sha256::new();
        hash.update(self.last.as_bytes());
        for field in fields {
            hash.update(field.len().to_string().as_bytes());
            hash.update(b":");
            hash.update(field.as_bytes());
            hash.update(b",");
        }
        let mut text = String::with_capacity(FIRST_HASH.len());
        for byte in hash.finalize() {
            // Writing to a string never fails.
            let _ = write!(text, "{byte:02x}");
        }
        self.last = text;
        self.count += 1;
        &self.last
    }

    /// Returns the hash of the last record.
    #[must_use]
    pub fn last(&self) -> &str {
        &self.last
    }

    /// Returns the number of records.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::Chain;

    #[test]
    fn hash_depends_on_each_field_and_the_previous_hash() {
        let hash = |records: &[&[&str]]| {
            let mut chain = Chain::default();
            for record in records {
                chain.add(record.iter().copied());
            }
            chain.last().to_owned()
        };
        let all = [
            hash(&[&["a", "b"]]),
            hash(&[&["ab", ""]]),
            hash(&[&["a,", "b"]]),
            hash(&[&["b", "a"]]),
            hash(&[&["a"], &["b"]]),
            hash(&[&["b"], &["a"]]),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
