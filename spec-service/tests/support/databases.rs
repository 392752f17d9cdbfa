//! Empty databases of each kind, in the test process.

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use clap::Parser as _;
use spec_service::settings::Settings;
use spec_service::wiring::Wired;

/// A SQLite file, and a temporary PostgreSQL server if it is installed. Both end with this value.
pub struct Databases {
    dir: tempfile::TempDir,
    postgres: Option<(Child, String)>,
}

/// An empty database.
pub struct TestDatabase {
    url: String,
}

impl fmt::Debug for TestDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.split_once(':').map_or("", |(scheme, _)| scheme);
        f.write_str(scheme)
    }
}

impl Databases {
    /// Starts the database server.
    pub fn start() -> Self {
        Self {
            dir: tempfile::tempdir().expect("the directory is created"),
            postgres: postgres(),
        }
    }

    /// Returns an empty database of each kind.
    pub fn all(&self) -> Vec<TestDatabase> {
        let postgres = self
            .postgres
            .iter()
            .map(|(_, url)| TestDatabase { url: url.clone() });
        [self.sqlite()].into_iter().chain(postgres).collect()
    }

    /// Returns an empty SQLite database.
    pub fn sqlite(&self) -> TestDatabase {
        let file = self.dir.path().join("specs.db");
        let url = format!("sqlite:{}", file.display());
        TestDatabase { url }
    }
}

impl TestDatabase {
    /// Opens the database, and starts the projections.
    pub async fn open(&self) -> Wired {
        let arguments = ["spec-service", "--database-url", &self.url];
        let settings = Settings::try_parse_from(arguments).expect("the settings are valid");
        Wired::open(&settings).await.expect("the database opens")
    }
}

/// Starts a temporary server, which stops with the test.
///
/// Returns `None` if PostgreSQL is not installed and not required.
fn postgres() -> Option<(Child, String)> {
    let script = "../adapters/postgres/tests/throwaway-server.sh";
    let mut script = Command::new("sh")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the script starts");
    let output = script.stdout.take().expect("standard output is piped");
    let mut dir = String::new();
    BufReader::new(output)
        .read_line(&mut dir)
        .expect("the script prints its directory");
    if dir.is_empty() {
        script.wait().expect("the script ends");
        let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "PostgreSQL is not installed, but FACTUM_REQUIRE_SERVICES=1"
        );
        std::io::stderr()
            .write_all(b"SKIPPED: PostgreSQL is not installed\n")
            .expect("standard error can be written");
        return None;
    }
    let url = format!("postgres://postgres@localhost/postgres?host={}", dir.trim());
    Some((script, url))
}
