//! A file and a schema for each test, on one server.

use std::sync::Mutex;

use tempfile::TempDir;

use crate::server::Server;

/// Where a store can be opened, as often as one likes.
pub(crate) struct Database {
    pub(crate) url: String,
    _dir: Option<TempDir>,
}

/// A file for `test`.
pub(crate) fn file() -> Database {
    let dir = tempfile::tempdir().unwrap();
    Database {
        url: dir.path().join("jars.db").display().to_string(),
        _dir: Some(dir),
    }
}

/// A schema for `test`; `None`: there is no server, which is said loudly.
pub(crate) fn schema(test: &str) -> Option<Database> {
    // Ends with the process.
    static SERVER: Mutex<Option<Option<Server>>> = Mutex::new(None);
    let url = match std::env::var("FACTUM_TEST_POSTGRES") {
        Ok(url) => url,
        Err(_) => {
            let mut server = SERVER.lock().unwrap();
            server.get_or_insert_with(Server::start).as_ref()?.url()
        }
    };
    // A name has at most 40 bytes.
    let test = &test[..test.len().min(30)];
    let schema = format!("{test}_{}", std::process::id());
    Some(Database {
        url: format!("{url}#{schema}"),
        _dir: None,
    })
}

/// Tests on a file, and on a schema where there is a server.
#[allow(unused_macros, reason = "where the stores differ")]
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
                    if let Some(place) = super::databases::schema(stringify!($test)) {
                        super::$test(&place.url).await;
                    }
                }
            )*
        }
    };
}
#[allow(unused_imports, reason = "where the stores differ")]
pub(crate) use on_each_store;
