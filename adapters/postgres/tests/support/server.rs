//! A PostgreSQL server for the tests of one process.
//!
//! It is a temporary server, or the one that `FACTUM_TEST_POSTGRES` names.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::str::FromStr as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use factum_postgres::{PgConnectOptions, PostgresOptions};

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
    if server.is_none() {
        let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "FACTUM_REQUIRE_SERVICES=1, but there is no PostgreSQL server"
        );
        let message =
            "SKIPPED: no PostgreSQL server; install one, or set FACTUM_TEST_POSTGRES to its URL\n";
        // Not captured by the test harness.
        std::io::stderr()
            .write_all(message.as_bytes())
            .expect("standard error is writable");
    }
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
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../postgres/tests/throwaway-server.sh"
    );
    let mut script = Command::new("sh")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the script starts");
    let mut dir = String::new();
    let output = script.stdout.take().expect("standard output is piped");
    BufReader::new(output)
        .read_line(&mut dir)
        .expect("the output is UTF-8");
    if dir.is_empty() {
        script.wait().expect("the script has ended");
        return None;
    }
    // The server runs until this process ends and closes the standard input of the script.
    std::mem::forget(script);
    let server = PgConnectOptions::new_without_pgpass()
        .host("/")
        .socket(dir.trim());
    Some(server.username("postgres").database("postgres"))
}
