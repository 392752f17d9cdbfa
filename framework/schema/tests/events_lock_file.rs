//! The conditions under which a schema lock writes its file.

use std::fs;
use std::path::Path;
use std::process::Command;

use factum::Event;
use factum::schema::events_lock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "e")]
enum E {
    Made { name: String },
}

/// The test of a user, which the other tests run in a separate process.
#[test]
#[ignore = "run by the other tests of this file"]
fn user_test() {
    let path = std::env::var("LOCK").expect("a path");
    events_lock(path).event::<E>().check();
}

/// Runs the test of a user with this value of `FACTUM_UPDATE`, and returns its error output.
fn run(lock: &Path, update: Option<&str>) -> Result<(), String> {
    let mut test = Command::new(std::env::current_exe().expect("this test"));
    test.args(["--exact", "user_test", "--ignored", "--nocapture"])
        .env("LOCK", lock)
        .env_remove("FACTUM_UPDATE");
    if let Some(update) = update {
        test.env("FACTUM_UPDATE", update);
    }
    let output = test.output().expect("the test runs");
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn missing_file_is_written_only_on_update() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join("events.lock");
    for update in [None, Some("0"), Some("")] {
        let output = run(&lock, update).unwrap_err();
        assert!(output.contains("the file does not exist; run the test with FACTUM_UPDATE=1"));
        assert!(!lock.exists());
    }
    run(&lock, Some("1")).unwrap();
    run(&lock, None).unwrap();
}

#[test]
fn compatible_change_requests_update() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join("events.lock");
    fs::write(
        &lock,
        r#"{"about": "", "events": {"e.made": {"1": {"name": "string", "old": "null"}}}}"#,
    )
    .expect("a file");
    let before = fs::read_to_string(&lock).expect("a file");
    let output = run(&lock, None).unwrap_err();
    assert!(output.contains("stored events stay readable; run the test with FACTUM_UPDATE=1"));
    assert_eq!(fs::read_to_string(&lock).expect("a file"), before);
    run(&lock, Some("1")).unwrap();
    assert!(
        fs::read_to_string(&lock)
            .expect("a file")
            .contains(r#""old?": "null""#)
    );
    run(&lock, None).unwrap();
}

#[test]
fn update_never_writes_breaking_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join("events.lock");
    let before = r#"{"about": "", "events": {"e.made": {"1": {}}}}"#;
    fs::write(&lock, before).expect("a file");
    for update in [None, Some("1")] {
        let output = run(&lock, update).unwrap_err();
        assert!(
            output.contains("e.made version 1: `name` is required"),
            "{output}"
        );
    }
    assert_eq!(fs::read_to_string(&lock).expect("a file"), before);
}
