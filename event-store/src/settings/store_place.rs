//! [`StorePlace`]: the place where events are stored, and the settings that select it.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;

/// The default file of a SQLite store.
const DEFAULT_FILE: &str = "events.db";

/// The place where events are stored.
#[derive(Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// The memory of the process; a stop loses the events.
    Memory,
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(String),
}

/// The kind of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    /// The memory of the process.
    Memory,
    /// A SQLite file.
    Sqlite,
    /// A PostgreSQL database.
    Postgres,
}

/// The URL of a store. It is printed without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

/// Settings that select no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStorePlace {
    /// The URL of a store is not valid.
    #[error("invalid store: {url:?}; {rule}")]
    InvalidUrl {
        /// The URL without its password.
        url: String,
        /// The violated rule.
        rule: &'static str,
    },
    /// The backend needs a URL.
    #[error(
        "missing database URL of the backend `postgres`; set DATABASE_URL to postgres://USER@HOST/DATABASE"
    )]
    MissingUrl,
    /// The backend and the URL select different stores.
    #[error(
        "conflicting settings: the backend is `{backend}`, and the database URL is {url:?}; remove one of them"
    )]
    Conflict {
        /// The name of the backend.
        backend: BackendName,
        /// The URL without its password.
        url: String,
    },
}

impl StorePlace {
    /// Selects the store of a backend and a URL, or the default one.
    pub(super) fn select(
        backend: Option<BackendName>,
        url: Option<&StoreUrl>,
    ) -> Result<Self, InvalidStorePlace> {
        let place = url.map(StoreUrl::place).transpose()?;
        match (backend, place, url) {
            (Some(backend), Some(place), Some(url)) if place.backend() != backend => {
                let url = url.to_string();
                Err(InvalidStorePlace::Conflict { backend, url })
            }
            (_, Some(place), _) => Ok(place),
            (Some(BackendName::Memory), None, _) => Ok(Self::Memory),
            (Some(BackendName::Postgres), None, _) => Err(InvalidStorePlace::MissingUrl),
            (Some(BackendName::Sqlite) | None, None, _) => Ok(Self::Sqlite(DEFAULT_FILE.into())),
        }
    }

    /// Returns the kind of the store.
    #[must_use]
    pub fn backend(&self) -> BackendName {
        match self {
            Self::Memory => BackendName::Memory,
            Self::Sqlite(_) => BackendName::Sqlite,
            Self::Postgres(_) => BackendName::Postgres,
        }
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&masked(url)),
        }
    }
}

impl fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePlace({self})")
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

impl StoreUrl {
    /// Returns the place of the store.
    ///
    /// # Errors
    /// Returns an error if the URL is not valid.
    pub fn place(&self) -> Result<StorePlace, InvalidStorePlace> {
        let text = &*self.0;
        let invalid = |rule| InvalidStorePlace::InvalidUrl {
            url: masked(text),
            rule,
        };
        if text == "memory" {
            return Ok(StorePlace::Memory);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(StorePlace::Postgres(text.to_owned()));
        }
        let Some(path) = text.strip_prefix("sqlite:") else {
            let rule = "expected `memory`, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`";
            return Err(invalid(rule));
        };
        match path.strip_prefix("//").unwrap_or(path) {
            "" => Err(invalid("the file is missing; use `sqlite:PATH`")),
            ":memory:" => Err(invalid("use `memory`")),
            path if path.contains('?') => Err(invalid(
                "parameters after `?` are not supported; use `sqlite:PATH`",
            )),
            path => Ok(StorePlace::Sqlite(path.into())),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

/// Returns the URL with `***` in the place of passwords.
fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    };
    let Some((place, parameters)) = rest.split_once('?') else {
        return format!("{scheme}://{rest}");
    };
    let parameters = parameters.split('&').map(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        match name.to_ascii_lowercase().contains("password") {
            true => format!("{name}=***"),
            false => parameter.to_owned(),
        }
    });
    let parameters: Vec<String> = parameters.collect();
    format!("{scheme}://{place}?{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> StoreUrl {
        StoreUrl(text.to_owned())
    }

    fn select(backend: Option<BackendName>, text: Option<&str>) -> Result<StorePlace, String> {
        let url = text.map(url);
        let selected = StorePlace::select(backend, url.as_ref());
        selected.map_err(|error| error.to_string())
    }

    #[test]
    fn backend_and_url_select_the_store() {
        use BackendName::{Memory, Postgres, Sqlite};
        let file = |path: &str| Ok(StorePlace::Sqlite(path.into()));
        let database = "postgres://ada@db/events";
        for (backend, text, expected) in [
            (None, None, file("events.db")),
            (Some(Sqlite), None, file("events.db")),
            (Some(Memory), None, Ok(StorePlace::Memory)),
            (None, Some("memory"), Ok(StorePlace::Memory)),
            (None, Some("sqlite:a.db"), file("a.db")),
            (Some(Sqlite), Some("sqlite:///var/a.db"), file("/var/a.db")),
            (
                Some(Postgres),
                Some(database),
                Ok(StorePlace::Postgres(database.to_owned())),
            ),
        ] {
            assert_eq!(select(backend, text), expected, "{backend:?} {text:?}");
        }
    }

    #[test]
    fn conflicting_and_invalid_settings_are_rejected() {
        use BackendName::{Memory, Postgres};
        for (backend, text, expected) in [
            (
                Some(Postgres),
                None,
                "missing database URL of the backend `postgres`; set DATABASE_URL to postgres://USER@HOST/DATABASE",
            ),
            (
                Some(Memory),
                Some("sqlite:a.db"),
                "conflicting settings: the backend is `memory`, and the database URL is \"sqlite:a.db\"; remove one of them",
            ),
            (
                None,
                Some("mysql://a:secret@b"),
                "invalid store: \"mysql://a:***@b\"; expected `memory`, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`",
            ),
            (
                None,
                Some("sqlite:"),
                "invalid store: \"sqlite:\"; the file is missing; use `sqlite:PATH`",
            ),
            (
                None,
                Some("sqlite::memory:"),
                "invalid store: \"sqlite::memory:\"; use `memory`",
            ),
            (
                None,
                Some("sqlite:a?b=c"),
                "invalid store: \"sqlite:a?b=c\"; parameters after `?` are not supported; use `sqlite:PATH`",
            ),
        ] {
            assert_eq!(select(backend, text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn passwords_of_urls_are_not_printed() {
        for (text, expected) in [
            ("postgres://ada@db/events", "postgres://ada@db/events"),
            (
                "postgres://ada:s:/?@t@db:5432/events",
                "postgres://ada:***@db:5432/events",
            ),
            (
                "postgres://db/events?sslmode=require&password=secret&sslPassword=secret",
                "postgres://db/events?sslmode=require&password=***&sslPassword=***",
            ),
        ] {
            assert_eq!(url(text).to_string(), expected);
            assert!(!format!("{:?} {:?}", url(text), url(text).place()).contains("secret"));
        }
    }
}
