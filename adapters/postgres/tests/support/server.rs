//! A PostgreSQL server for the tests of one process, found on the machine or named by `FACTUM_TEST_POSTGRES`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::str::FromStr as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use factum_postgres::{PgConnectOptions, PostgresOptions};

/// `None`: there is no server, and none is required.
static SERVER: OnceLock<Option<PgConnectOptions>> = OnceLock::new();
static SCHEMAS: AtomicU64 = AtomicU64::new(0);

/// How to open a store in a schema that no other test uses; `None` if there is no server, which is said loudly.
///
/// With `FACTUM_REQUIRE_SERVICES=1` that is a failure.
pub(crate) fn fresh() -> Option<PostgresOptions> {
    behind().map(|(server, options)| options(server))
}

/// The same, in two steps: the server, and how to open a store by a way to it.
pub(crate) fn behind() -> Option<(
    PgConnectOptions,
    impl Fn(PgConnectOptions) -> PostgresOptions,
)> {
    let server = SERVER.get_or_init(server).clone();
    if server.is_none() {
        let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "no PostgreSQL server, and FACTUM_REQUIRE_SERVICES=1"
        );
        let loud =
            "SKIPPED: no PostgreSQL server; install one, or set FACTUM_TEST_POSTGRES to its URL\n";
        // Past the capture of the test harness.
        std::io::stderr()
            .write_all(loud.as_bytes())
            .expect("an error stream");
    }
    let number = SCHEMAS.fetch_add(1, SeqCst);
    let schema = format!("test_{}_{number}", std::process::id());
    // The name tells the connections of one test from those of another.
    let server = server?.application_name(&schema);
    Some((server, move |way| {
        PostgresOptions::new(way).readers(4).schema(schema.clone())
    }))
}

fn server() -> Option<PgConnectOptions> {
    if let Ok(url) = std::env::var("FACTUM_TEST_POSTGRES") {
        return Some(PgConnectOptions::from_str(&url).expect("FACTUM_TEST_POSTGRES is a URL"));
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/throwaway-server.sh");
    let mut script = Command::new("sh")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut dir = String::new();
    let output = script.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut dir).expect("text");
    if dir.is_empty() {
        script.wait().expect("it has ended");
        return None;
    }
    // Lives as long as this process holds the other end of its input.
    std::mem::forget(script);
    let server = PgConnectOptions::new_without_pgpass()
        .host("/")
        .socket(dir.trim());
    Some(server.username("postgres").database("postgres"))
}
