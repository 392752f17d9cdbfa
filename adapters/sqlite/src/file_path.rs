//! [`FilePath`]: the path of a database file, checked and resolved once.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use factum_core::error::StoreError;

/// The advice forevery name of a database in memory.
const IN_MEMORY: &str = "a database in memory loses acknowledged events; \
                         use `SqliteStore::temporary()` or the crate `factum-memory` in tests";

/// The path of a database file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath {
    /// The absolute path, without symbolic links.
    path: PathBuf,
    exists: bool,
}

impl FilePath {
    /// Resolves `path`, so that later changes of the working directory or of a link have no effect.
    pub fn resolve(path: &Path) -> Result<Self, StoreError> {
        if let Some(reason) = path.to_str().and_then(reject_name) {
            return Err(StoreError::CannotOpen(reason));
        }
        match fs::canonicalize(path) {
            Ok(resolved) => Self::existing(resolved),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::new_file(path),
            Err(error) => Err(cannot_access(path, &error)),
        }
    }

    fn existing(path: PathBuf) -> Result<Self, StoreError> {
        let metadata = fs::metadata(&path).map_err(|error| cannot_access(&path, &error))?;
        if metadata.is_file() {
            return Ok(Self { path, exists: true });
        }
        let kind = match metadata.is_dir() {
            true => "a directory",
            false => "not a regular file",
        };
        let shown = path.display();
        Err(StoreError::CannotOpen(format!(
            "the path is {kind}: {shown}; expected the path of a database file"
        )))
    }

    /// Resolves the directory of a file that does not exist.
    fn new_file(path: &Path) -> Result<Self, StoreError> {
        let Some(name) = path.file_name() else {
            let shown = path.display();
            let reason =
                format!("the path has no file name: {shown}; expected `directory/file.db`");
            return Err(StoreError::CannotOpen(reason));
        };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let resolved = fs::canonicalize(directory).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let shown = directory.display();
                let reason = format!("the directory does not exist: {shown}; create it first");
                StoreError::CannotOpen(reason)
            }
            _ => cannot_access(directory, &error),
        })?;
        Ok(Self {
            path: resolved.join(name),
            exists: false,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file existed when the path was resolved.
    pub fn exists(&self) -> bool {
        self.exists
    }
}

fn cannot_access(path: &Path, error: &std::io::Error) -> StoreError {
    let shown = path.display();
    StoreError::CannotOpen(match error.kind() {
        ErrorKind::PermissionDenied => {
            format!("permission denied: {shown}; the user of the program must be able to access it")
        }
        ErrorKind::NotADirectory => {
            format!("a part of the path is a file and not a directory: {shown}")
        }
        _ => format!("cannot access {shown}: {error}"),
    })
}

/// Returns the reason if `name` is a URL or one of SQLite's names for databases without a file.
fn reject_name(name: &str) -> Option<String> {
    let (scheme, rest) = split_scheme(name);
    let rest = rest.trim_start_matches('/');
    let is_url = scheme.is_some();
    if rest.starts_with(":memory:") && (is_url || name.starts_with(':'))
        || is_url && rest.contains("mode=memory")
    {
        return Some(format!("{name:?} is not a file; {IN_MEMORY}"));
    }
    if rest.is_empty() && (is_url || name.is_empty()) {
        return Some(format!(
            "the file name is missing: {name:?}; expected a path such as \"bank.db\""
        ));
    }
    let path = match scheme? {
        "file" | "sqlite" | "sqlite3" => {
            let (_, rest) = split_scheme(name);
            let rest = rest.strip_prefix("//").unwrap_or(rest);
            rest.split_once('?').map_or(rest, |(path, _)| path)
        }
        scheme => {
            return Some(format!(
                "unsupported scheme {scheme:?} in {name:?}; expected the path of a database file"
            ));
        }
    };
    Some(format!(
        "{name:?} is a URL; use the path of the file: {path:?}"
    ))
}

/// Splits a URL into its scheme and the rest; a name without a scheme is the rest.
///
/// A name such as `backup:3.db` is a file: only schemes of SQLite, and those before `//`, count.
fn split_scheme(name: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = name.split_once(':') else {
        return (None, name);
    };
    let known = ["file", "sqlite", "sqlite3"];
    let known = known
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known));
    match known {
        Some(known) => (Some(known), rest),
        None if rest.starts_with("//") && scheme.len() > 1 => (Some(scheme), rest),
        None => (None, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(path: &str) -> String {
        FilePath::resolve(Path::new(path)).unwrap_err().to_string()
    }

    #[test]
    fn databases_in_memory_are_rejected() {
        for name in [
            ":memory:",
            ":memory:?cache=shared",
            "file::memory:",
            "file::memory:?cache=shared",
            "file:///:memory:",
            "FILE::memory:",
            "file:x?mode=memory",
            "file:x?cache=shared&mode=memory",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite3::memory:",
            "sqlite:x.db?mode=memory",
        ] {
            let expected = format!("cannot open the store: {name:?} is not a file; {IN_MEMORY}");
            assert_eq!(rejection(name), expected);
        }
    }

    #[test]
    fn missing_names_are_rejected() {
        for name in ["", "file:", "sqlite:", "sqlite://", "file:///"] {
            let expected = format!(
                "cannot open the store: the file name is missing: {name:?}; expected a path such as \"bank.db\""
            );
            assert_eq!(rejection(name), expected);
        }
        for name in ["missing/..", "missing/file.db/"] {
            let error = rejection(name);
            let expected = "cannot open the store: the ";
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn urls_are_rejected_with_their_path() {
        for (name, path) in [
            ("sqlite:x.db", "x.db"),
            ("sqlite://x.db", "x.db"),
            ("sqlite:///var/x.db", "/var/x.db"),
            ("sqlite:x.db?mode=rwc", "x.db"),
            ("file:x.db", "x.db"),
            ("file:/var/x.db?immutable=1", "/var/x.db"),
            ("file:///var/x.db", "/var/x.db"),
        ] {
            let expected = format!(
                "cannot open the store: {name:?} is a URL; use the path of the file: {path:?}"
            );
            assert_eq!(rejection(name), expected);
        }
        assert_eq!(
            rejection("postgres://ada@localhost/bank"),
            "cannot open the store: unsupported scheme \"postgres\" in \"postgres://ada@localhost/bank\"; \
             expected the path of a database file"
        );
    }

    #[test]
    fn ordinary_names_are_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        for name in ["bank.db", "backup:3.db", "a b?.db", ":memory:", "x"] {
            let location = FilePath::resolve(&root.join(name)).unwrap();
            assert_eq!(location.path(), root.join(name));
            assert!(!location.exists());
        }
    }

    #[test]
    fn wrong_places_are_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let root = root.display();
        assert_eq!(
            rejection(&format!("{root}/no/bank.db")),
            format!(
                "cannot open the store: the directory does not exist: {root}/no; create it first"
            )
        );
        assert_eq!(
            rejection(&root.to_string()),
            format!(
                "cannot open the store: the path is a directory: {root}; expected the path of a database file"
            )
        );
        fs::write(format!("{root}/file"), "").unwrap();
        assert_eq!(
            rejection(&format!("{root}/file/bank.db")),
            format!(
                "cannot open the store: a part of the path is a file and not a directory: {root}/file/bank.db"
            )
        );
        assert_eq!(
            rejection("/dev/null"),
            "cannot open the store: the path is not a regular file: /dev/null; \
             expected the path of a database file"
        );
    }
}
