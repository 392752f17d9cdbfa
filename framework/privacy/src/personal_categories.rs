//! [`PersonalCategories`]: the categories of streams that contain personal data.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// The categories of the streams whose events contained personal data in this process.
#[derive(Debug, Default)]
pub struct PersonalCategories {
    categories: RwLock<HashSet<String>>,
}

impl PersonalCategories {
    /// Adds a category.
    pub fn insert(&self, category: &str) {
        if !self.contains(category) {
            let categories = self.categories.write();
            let mut categories = categories.unwrap_or_else(PoisonError::into_inner);
            categories.insert(category.to_owned());
        }
    }

    /// Returns whether a stream of this category contained personal data.
    pub fn contains(&self, category: &str) -> bool {
        let categories = self.categories.read();
        let categories = categories.unwrap_or_else(PoisonError::into_inner);
        categories.contains(category)
    }
}
