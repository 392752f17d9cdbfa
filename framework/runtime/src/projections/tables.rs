//! The names of the tables of one build, for read models in a database.

use std::any::Any;
use std::collections::HashSet;

use super::StepError;
use factum_core::document::{DocumentChanges, encode_document};
use factum_engine::error::{StoreError, panic_message};

/// Fills in the names of the tables of `build` where `sql` has names in braces, e.g. `{owner}`, and tells `seen` of each
/// name. Readers use the plain name, which is a view of the build that they see. What is in braces but no name (1 to
/// 50 lower-case letters, digits and `_`, the first no digit) stays as it is.
///
/// ```
/// use factum::projections::fill_in;
///
/// let sql = fill_in("insert into {owner} values ('{}')", 3, |name| assert_eq!(name, "owner"));
/// assert_eq!(sql, "insert into owner__3 values ('{}')");
/// ```
pub fn fill_in(sql: &str, build: u64, mut seen: impl FnMut(&str)) -> String {
    let mut filled = String::with_capacity(sql.len() + 16);
    let mut rest = sql;
    while let Some((ahead, behind)) = rest.split_once('{') {
        filled.push_str(ahead);
        match behind.split_once('}') {
            Some((name, behind)) if is_name(name) => {
                seen(name);
                filled.push_str(&table(name, build));
                rest = behind;
            }
            _ => {
                filled.push('{');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// The name of the table `name` of `build`.
#[must_use]
pub fn table(name: &str, build: u64) -> String {
    format!("{name}__{build}")
}

/// What the keys of the documents begin with that list the tables of builds, of every projection.
pub const TABLES: &str = "tables/";

/// The key of the document that lists the tables of `build` of the projection `name`.
#[must_use]
pub fn tables_key(name: &str, build: u64) -> String {
    format!("{TABLES}{name}/{build:010}")
}

/// The key of the document that lists the views that readers of the projection `name` use.
#[must_use]
pub fn views_key(name: &str) -> String {
    format!("views/{name}")
}

/// The change that lists `names` under `key`.
///
/// # Errors
/// [`StoreError::Failed`] if they cannot be written as JSON.
pub fn list(key: String, names: &[String]) -> Result<DocumentChanges, StoreError> {
    Ok(DocumentChanges::new().put(key, encode_document(&names)?))
}

/// The names that `value` lists, which was found under `key`; none, if nothing was.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is no list of names.
pub fn listed(key: &str, value: Option<&str>) -> Result<Vec<String>, StoreError> {
    let names = value.map(serde_json::from_str).transpose();
    let names =
        names.map_err(|error| StoreError::Corrupt(format!("the document {key:?}: {error}")))?;
    Ok(names.unwrap_or_default())
}

/// A projection cannot have a table of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableTaken {
    /// Another projection has one.
    #[error(
        "the projections {projection:?} and {other:?} both have a table {table:?}: give it another name in one of them"
    )]
    ByProjection {
        /// Which projection cannot have it.
        projection: String,
        /// The name, as it stands in braces.
        table: String,
        /// Which projection has it.
        other: String,
    },
    /// Something else goes by that name.
    #[error(
        "the projection {projection:?} cannot have a table {table:?}: there is one of the name {found:?} that is not its own"
    )]
    ByStranger {
        /// Which projection cannot have it.
        projection: String,
        /// The name, as it stands in braces.
        table: String,
        /// What goes by that name.
        found: String,
    },
}

/// Which names of tables a projection may use for a build, as things stand before the build is made ready.
#[derive(Debug)]
pub struct Names<'a> {
    projection: &'a str,
    build: u64,
    own: Vec<String>,
    shown: Vec<String>,
    /// Each with the projection that has it.
    others: Vec<(String, String)>,
    there: HashSet<String>,
}

impl<'a> Names<'a> {
    /// For `build` of `projection`, by the keys and values of all documents that begin with [`TABLES`], and that of its
    /// [views](views_key); and by the names of whatever is `there` in the schema.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a document is no list of names.
    pub fn new(
        (projection, build): (&'a str, u64),
        documents: impl IntoIterator<Item = (String, String)>,
        there: impl IntoIterator<Item = String>,
    ) -> Result<Self, StoreError> {
        let mut names = Self {
            projection,
            build,
            own: Vec::new(),
            shown: Vec::new(),
            others: Vec::new(),
            there: there.into_iter().collect(),
        };
        let own = tables_key(projection, build);
        for (key, value) in documents {
            let listed = listed(&key, Some(&value))?;
            let of = key.strip_prefix(TABLES).and_then(|of| of.rsplit_once('/'));
            match of {
                _ if key == own => names.own = listed,
                Some((other, _)) if other != projection => {
                    let listed = listed.into_iter();
                    names
                        .others
                        .extend(listed.map(|table| (table, other.to_owned())));
                }
                // The same tables in another build have other names.
                Some(_) => {}
                None => names.shown = listed,
            }
        }
        Ok(names)
    }

    /// Judges how the code has ended that creates the tables, of which these were `filled_in`. Perhaps it failed since one of
    /// them is not its own, and another than it wants: then that is the error.
    ///
    /// # Errors
    /// [`StepError`], if they are not created.
    pub fn created<'t>(
        &self,
        created: Result<Result<(), StoreError>, Box<dyn Any + Send>>,
        filled_in: impl IntoIterator<Item = &'t String>,
    ) -> Result<(), StepError> {
        let error = match created {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(panic) => StoreError::Failed(panic_message(&*panic).into()),
        };
        // Otherwise the build was made ready before.
        if self.own.is_empty() {
            self.check(filled_in)?;
        }
        Err(error.into())
    }

    /// Rejects the first of `tables` whose name is taken.
    ///
    /// # Errors
    /// [`TableTaken`].
    pub fn check<'t>(
        &self,
        tables: impl IntoIterator<Item = &'t String>,
    ) -> Result<(), TableTaken> {
        let projection = || self.projection.to_owned();
        for name in tables {
            if let Some((_, other)) = self.others.iter().find(|(table, _)| table == name) {
                return Err(TableTaken::ByProjection {
                    projection: projection(),
                    table: name.clone(),
                    other: other.clone(),
                });
            }
            let filled = table(name, self.build);
            let found = match () {
                () if self.there.contains(name) && !self.shown.contains(name) => name.clone(),
                () if self.there.contains(&filled) && !self.own.contains(name) => filled,
                () => continue,
            };
            return Err(TableTaken::ByStranger {
                projection: projection(),
                table: name.clone(),
                found,
            });
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && name.len() <= 50
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
