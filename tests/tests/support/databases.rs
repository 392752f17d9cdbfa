//! A SQLite file or a PostgreSQL schema for each test; all schemas are on one server.

use std::sync::Mutex;

use tempfile::TempDir;

use crate::server::Server;

/// The location of a store, which can be opened any number of times.
pub(crate) struct Database {
    pub(crate) url: String,
    _dir: Option<TempDir>,
}

/// Creates a location for a SQLite file.
pub(crate) fn file() -> Database {
    let dir = tempfile::tempdir().unwrap();
    Database {
        url: dir.path().join("jars.db").display().to_string(),
        _dir: Some(dir),
    }
}

/// Returns a schema for `test`, or `None` with a message if there is no server.
pub(crate) fn schema(test: &str) -> Option<Database> {
    // The server stops when the process ends.
    static SERVER: Mutex<Option<Option<Server>>> = Mutex::new(None);
    let url = match std::env::var("FACTUM_TEST_POSTGRES") {
        Ok(url) => url,
        Err(_) => {
            let mut server = SERVER.lock().unwrap();
            server.get_or_insert_with(Server::start).as_ref()?.url()
        }
    };
    // The name of a schema has at most 40 bytes.
    let test = &test[..test.len().min(30)];
    let schema = format!("{test}_{}", std::process::id());
    Some(Database {
        url: format!("{url}#{schema}"),
        _dir: None,
    })
}

/// Runs the given tests on a SQLite file, and on a PostgreSQL schema if there is a server.
#[allow(unused_macros, reason = "not used by every test")]
macro_rules! on_each_store {
    ($($test:ident;)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(&super::databases::file().url).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    if let Some(database) = super::databases::schema(stringify!($test)) {
                        super::$test(&database.url).await;
                    }
                }
            )*
        }
    };
}
#[allow(unused_imports, reason = "not used by every test")]
pub(crate) use on_each_store;
