//! A PostgreSQL server for the tests of one process.
//!
//! It is a temporary server, or the one that `FACTUM_TEST_POSTGRES` names.

use std::str::FromStr as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use factum_postgres::{PgConnectOptions, PostgresOptions};

#[allow(dead_code, reason = "no test stops this server")]
#[path = "../../../../tests/src/own_server.rs"]
pub mod own_server;

use own_server::OwnServer;

/// The server, or `None` if there is none and none is required.
static SERVER: OnceLock<Option<PgConnectOptions>> = OnceLock::new();
static SCHEMAS: AtomicU64 = AtomicU64::new(0);

/// Returns options for a store in a schema that no other test uses, or `None` if there is no server.
///
/// Without a server it prints a message, and with `FACTUM_REQUIRE_SERVICES=1` it panics.
pub fn fresh() -> Option<PostgresOptions> {
    fresh_with_address().map(|(server, options)| options(server))
}

/// Returns the server, and a function that makes the options of [`fresh`] for an address of it.
pub fn fresh_with_address() -> Option<(
    PgConnectOptions,
    impl Fn(PgConnectOptions) -> PostgresOptions,
)> {
    let server = SERVER.get_or_init(server).clone();
    let number = SCHEMAS.fetch_add(1, SeqCst);
    let schema = format!("test_{}_{number}", std::process::id());
    // The application name identifies the connections of this test.
    let server = server?.application_name(&schema);
    Some((server, move |address| {
        PostgresOptions::new(address)
            .readers(4)
            .schema(schema.clone())
    }))
}

fn server() -> Option<PgConnectOptions> {
    if let Ok(url) = std::env::var("FACTUM_TEST_POSTGRES") {
        return Some(
            PgConnectOptions::from_str(&url).expect("FACTUM_TEST_POSTGRES is a valid URL"),
        );
    }
    let server = OwnServer::start(&[])?;
    let address = server.url().parse().expect("the URL is valid");
    // The server runs until this process ends and closes the standard input of the script.
    std::mem::forget(server);
    Some(address)
}
