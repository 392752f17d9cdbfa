//! A temporary PostgreSQL server for one test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

pub struct Database {
    script: Child,
    /// The URL of its database.
    pub url: String,
}

impl Database {
    /// Starts a server; `None` if PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../adapters/postgres/tests/throwaway-server.sh"
        );
        let mut script = Command::new("sh")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut dir = String::new();
        let output = script.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut dir).unwrap();
        let dir = dir.trim();
        if dir.is_empty() {
            script.wait().unwrap();
            let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "FACTUM_REQUIRE_SERVICES=1, but PostgreSQL is not installed"
            );
            let message = b"SKIPPED: PostgreSQL is not installed\n";
            std::io::stderr().write_all(message).unwrap();
            return None;
        }
        let url = format!("postgres://postgres@localhost/postgres?host={dir}");
        Some(Self { script, url })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server stops when the standard input of the script ends.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}
