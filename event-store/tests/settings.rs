//! The settings of the program: their sources, and errors.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use factum_store_protocol::v1;
use server::{Server, command};

fn run(settings: &[(&str, &str)], flags: &[&str]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let ended = command(dir.path(), settings).args(flags).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

/// Returns the value and the source of a printed setting.
fn setting<'o>(output: &'o str, name: &str) -> (&'o str, &'o str) {
    let mut lines = output.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{output}"));
    line.trim()
        .split_once("  ")
        .map(|(value, source)| (value, source.trim()))
        .unwrap()
}

#[test]
fn settings_are_printed_with_their_sources() {
    let environment = [
        ("DATABASE_URL", "postgres://ada:secret@db/events"),
        ("GRACE", "3"),
    ];
    let flags = ["--print-settings", "--drain", "2", "--max-calls=7"];
    let (code, output, _) = run(&environment, &flags);
    assert_eq!(code, Some(0));
    assert_eq!(setting(&output, "drain"), ("2", "flag --drain"));
    assert_eq!(setting(&output, "max-calls"), ("7", "flag --max-calls"));
    assert_eq!(
        setting(&output, "grace"),
        ("3", "environment variable GRACE")
    );
    assert_eq!(setting(&output, "idle-timeout"), ("600", "default"));
    assert_eq!(setting(&output, "tls-cert"), ("not set", "default"));
    let url = "postgres://ada:***@db/events";
    assert!(
        output.contains(&format!("database-url         {url} ")),
        "{output}"
    );
    assert!(
        output.ends_with(&format!("events are stored in: {url}\n")),
        "{output}"
    );
    assert!(!output.contains("secret"), "{output}");
    let (_, help, _) = run(&environment, &["--help"]);
    assert!(
        help.contains("DATABASE_URL") && !help.contains("secret"),
        "{help}"
    );
}

#[test]
fn flag_overrides_the_environment() {
    let environment = [
        ("BACKEND", "postgres"),
        ("DATABASE_URL", "postgres://db/events"),
    ];
    let (_, output, _) = run(&environment, &["--print-settings", "--store", "memory"]);
    assert!(
        output.ends_with("events are stored in: memory\n"),
        "{output}"
    );
}

#[test]
fn settings_in_conflict_end_the_server() {
    let conflict = [
        ("BACKEND", "memory"),
        ("DATABASE_URL", "postgres://ada:secret@db/events"),
    ];
    let (code, output, error) = run(&conflict, &[]);
    assert_eq!((code, &*output), (Some(1), ""));
    let expected = "conflicting settings: the backend is `memory`, and the database URL is \"postgres://ada:***@db/events\"";
    assert!(error.contains(expected), "{error}");
    let (code, _, error) = run(&[("BACKEND", "postgres")], &[]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("missing database URL of the backend `postgres`"),
        "{error}"
    );
    let (code, _, error) = run(&[("BACKEND", "mysql")], &[]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("possible values: memory, sqlite, postgres"),
        "{error}"
    );
}

#[tokio::test]
async fn server_listens_on_several_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("BACKEND", "memory"),
        ("BIND_ADDR", "127.0.0.1:0,127.0.0.1:0"),
    ];
    let mut server = Server::start_with(dir.path(), &settings);
    let first = server.client().await;
    server.url = server.next_url("gRPC");
    for mut client in [first, server.client().await] {
        let info = client.get_server_info(v1::GetServerInfoRequest {}).await;
        assert_eq!(info.unwrap().into_inner().backend, "memory");
    }
}
