//! [`Server`]: an event store server in a process of its own.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// An event store server with an empty store, which ends when it is dropped.
pub struct Server {
    /// The connection string of the server.
    pub connection: String,
    process: Child,
    _folder: TempDir,
}

impl Server {
    /// Starts a server on the backend of `EVENT_STORE_BACKEND`: SQLite, or in memory.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = match env::var("EVENT_STORE_BACKEND").as_deref() {
            Ok("sqlite") => format!("sqlite:{}", folder.path().join("events.db").display()),
            _ => "memory".to_owned(),
        };
        let mut process = Command::new(binary())
            .args([
                "--insecure",
                "--store",
                &store,
                "--bind-addr",
                "127.0.0.1:0",
            ])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server should start; build it with `cargo build -p event-store`");
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map(|line| line.expect("the output should be text"));
        let address =
            lines.find_map(|line| Some(line.split_once("gRPC API on http://")?.1.to_owned()));
        let address = address.expect("the server should print its address");
        let address = address.split_whitespace().next().unwrap();
        Self {
            // The largest appends take longer than the default of ten seconds on a busy machine.
            connection: format!("kurrentdb://{address}?tls=false&defaultDeadline=60000"),
            process,
            _folder: folder,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn binary() -> PathBuf {
    if let Some(binary) = env::var_os("EVENT_STORE_BINARY") {
        return binary.into();
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| format!("{root}/target").into(), PathBuf::from);
    target.join("debug/event-store")
}
