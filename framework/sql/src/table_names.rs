//! The names of the tables and views of read models in a database.

use std::collections::{BTreeSet, HashSet};

use factum_core::document::{DocumentChanges, encode_document};
use factum_core::error::StoreError;

use factum_runtime::consumer::BatchError;

/// The prefix of the documents that list the tables of builds, of every projection.
pub const TABLES: &str = "tables/";

/// Replaces each table name in braces, such as `{owner}`, with the name of the table of `build`.
///
/// Calls `found` for each name. Readers use the name without braces, which is a view of the active build. Text in
/// braces that is not a name stays: a name has 1 to 50 of `a-z`, `0-9` and `_`, and does not start with a digit. A name
/// may be a keyword, because the build follows it.
///
/// ```
/// use factum_sql::table_names::expand_table_names;
///
/// let sql = expand_table_names("insert into {owner} values ('{}')", 3, |name| assert_eq!(name, "owner"));
/// assert_eq!(sql, "insert into owner__3 values ('{}')");
/// ```
pub fn expand_table_names(sql: &str, build: u64, mut found: impl FnMut(&str)) -> String {
    let mut expanded = String::with_capacity(sql.len() + 16);
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('{') {
        expanded.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if is_name(name) => {
                found(name);
                expanded.push_str(&table_name(name, build));
                rest = after;
            }
            _ => {
                expanded.push('{');
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    expanded
}

/// Returns `name` as a quoted identifier, which may be a keyword.
#[must_use]
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the name of the table `name` of `build`.
///
/// It has at most 63 bytes, the limit of PostgreSQL, for builds below 10¹¹.
#[must_use]
pub fn table_name(name: &str, build: u64) -> String {
    format!("{name}__{build}")
}

/// Returns the key of the document that lists the tables of `build` of the projection `projection`.
#[must_use]
pub fn tables_key(projection: &str, build: u64) -> String {
    format!("{TABLES}{projection}/{build:010}")
}

/// Returns the key of the document that lists the views of the projection `projection`.
#[must_use]
pub fn views_key(projection: &str) -> String {
    format!("views/{projection}")
}

/// Returns the change that stores a list of names under `key`.
///
/// # Errors
/// Returns [`StoreError::Failed`] if the names cannot be encoded.
pub fn store_names(key: String, names: &[String]) -> Result<DocumentChanges, StoreError> {
    Ok(DocumentChanges::new().put(key, encode_document(&names)?))
}

/// Decodes the list of names that was found under `key`; an empty list if nothing was found.
///
/// # Errors
/// Returns [`StoreError::Corrupt`] if the value is not a list of names.
pub fn decode_names(key: &str, value: Option<&str>) -> Result<Vec<String>, StoreError> {
    let names = value.map(serde_json::from_str).transpose();
    let names = names.map_err(|error| StoreError::Corrupt(format!("document {key:?}: {error}")))?;
    Ok(names.unwrap_or_default())
}

/// A projection cannot use a table name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableNameTaken {
    /// Another projection has a table of this name.
    #[error(
        "projections {projection:?} and {other:?} both have a table {table:?}; rename it in one of them"
    )]
    ByProjection {
        /// The projection that cannot use the name.
        projection: String,
        /// The name without the build.
        table: String,
        /// The projection that has the table.
        other: String,
    },
    /// The database has a table or view of this name that is not the projection's own.
    #[error(
        "projection {projection:?} cannot create a table {table:?}: the database already has {found:?}; rename one of them"
    )]
    InDatabase {
        /// The projection that cannot use the name.
        projection: String,
        /// The name without the build.
        table: String,
        /// The name of the existing table or view.
        found: String,
    },
    /// The projection has created a table whose name is not in braces.
    ///
    /// All builds would write to the same table, so a rebuild would apply each event a second time.
    #[error(
        "projection {projection:?} creates the table {table:?} for all builds; write its name in braces, as in {{{table}}}"
    )]
    WithoutBraces {
        /// The projection.
        projection: String,
        /// The name of the table.
        table: String,
    },
}

impl From<TableNameTaken> for BatchError {
    fn from(error: TableNameTaken) -> Self {
        Self::ReadModel(error.into())
    }
}

/// The table names that a projection may use for a build.
///
/// They depend on the documents and on the database schema before the build is prepared.
#[derive(Debug)]
pub struct TableNames<'a> {
    projection: &'a str,
    build: u64,
    own: Vec<String>,
    views: Vec<String>,
    /// The tables of other projections, with the name of the projection.
    others: Vec<(String, String)>,
    existing: HashSet<String>,
}

impl<'a> TableNames<'a> {
    /// Creates the names for `build` of `projection`.
    ///
    /// `documents` are the keys and values of all documents that start with [`TABLES`], and of the
    /// [views](views_key). `existing` are the names of all tables and views in the database schema.
    ///
    /// # Errors
    /// Returns [`StoreError::Corrupt`] if a document is not a list of names.
    pub fn new(
        projection: &'a str,
        build: u64,
        documents: impl IntoIterator<Item = (String, String)>,
        existing: impl IntoIterator<Item = String>,
    ) -> Result<Self, StoreError> {
        let mut names = Self {
            projection,
            build,
            own: Vec::new(),
            views: Vec::new(),
            others: Vec::new(),
            existing: existing.into_iter().collect(),
        };
        let own = tables_key(projection, build);
        for (key, value) in documents {
            let listed = decode_names(&key, Some(&value))?;
            let owner = key.strip_prefix(TABLES).and_then(|it| it.rsplit_once('/'));
            match owner {
                _ if key == own => names.own = listed,
                Some((other, _)) if other != projection => {
                    let listed = listed.into_iter();
                    names
                        .others
                        .extend(listed.map(|table| (table, other.to_owned())));
                }
                // The same tables have other names in another build.
                Some(_) => {}
                None => names.views = listed,
            }
        }
        Ok(names)
    }

    /// Checks the result of the code that creates the tables `expanded`.
    ///
    /// If the code failed, another table of the same name may exist. The error then reports that table.
    ///
    /// # Errors
    /// Returns [`BatchError`] if the tables were not created.
    pub fn check_created<'t>(
        &self,
        created: Result<(), StoreError>,
        expanded: impl IntoIterator<Item = &'t String>,
    ) -> Result<(), BatchError> {
        let Err(error) = created else {
            return Ok(());
        };
        // Otherwise the build was prepared before.
        if self.own.is_empty() {
            self.check(expanded)?;
        }
        Err(error.into())
    }

    /// Checks that every table in `tables` that did not exist before belongs to the build.
    ///
    /// `expanded` are the names that the code has written in braces. A database may add tables whose names start with
    /// that of a table, and tables of its own.
    ///
    /// # Errors
    /// Returns [`TableNameTaken::WithoutBraces`] for the first table that does not belong to the build.
    pub fn check_builds(
        &self,
        tables: impl IntoIterator<Item = String>,
        expanded: &BTreeSet<String>,
    ) -> Result<(), TableNameTaken> {
        let own: Vec<String> = expanded
            .iter()
            .map(|name| table_name(name, self.build))
            .collect();
        let belongs = |table: &String| {
            self.existing.contains(table)
                || table.starts_with("sqlite_")
                || own.iter().any(|own| table.starts_with(own))
        };
        match tables.into_iter().find(|table| !belongs(table)) {
            None => Ok(()),
            Some(table) => Err(TableNameTaken::WithoutBraces {
                projection: self.projection.to_owned(),
                table,
            }),
        }
    }

    /// Checks that no name of `tables` is taken.
    ///
    /// # Errors
    /// Returns [`TableNameTaken`] for the first name that is.
    pub fn check<'t>(
        &self,
        tables: impl IntoIterator<Item = &'t String>,
    ) -> Result<(), TableNameTaken> {
        for name in tables {
            if let Some((_, other)) = self.others.iter().find(|(table, _)| table == name) {
                return Err(TableNameTaken::ByProjection {
                    projection: self.projection.to_owned(),
                    table: name.clone(),
                    other: other.clone(),
                });
            }
            let of_build = table_name(name, self.build);
            let is_foreign_view = self.existing.contains(name) && !self.views.contains(name);
            let is_foreign_table = self.existing.contains(&of_build) && !self.own.contains(name);
            if is_foreign_view || is_foreign_table {
                return Err(TableNameTaken::InDatabase {
                    projection: self.projection.to_owned(),
                    table: name.clone(),
                    found: if is_foreign_view {
                        name.clone()
                    } else {
                        of_build
                    },
                });
            }
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
