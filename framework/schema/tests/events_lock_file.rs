//! When a lock writes its file, and when it does not.

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

/// Not a test by itself: what a user's test looks like, run by the others in a process of its own.
#[test]
#[ignore = "run by the other tests of this file"]
fn a_users_test() {
    let path = std::env::var("LOCK").expect("a path");
    events_lock(path).event::<E>().check();
}

/// Runs it with this value of `FACTUM_UPDATE`; gives what it complained of.
fn run(lock: &Path, update: Option<&str>) -> Result<(), String> {
    let mut test = Command::new(std::env::current_exe().expect("this test"));
    test.args(["--exact", "a_users_test", "--ignored", "--nocapture"])
        .env("LOCK", lock)
        .env_remove("FACTUM_UPDATE");
    if let Some(update) = update {
        test.env("FACTUM_UPDATE", update);
    }
    let output = test.output().expect("it runs");
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn a_missing_file_is_written_only_when_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join("events.lock");
    for update in [None, Some("0"), Some("")] {
        let complaint = run(&lock, update).unwrap_err();
        assert!(complaint.contains("there is no such file yet. Run the test with FACTUM_UPDATE=1"));
        assert!(!lock.exists());
    }
    run(&lock, Some("1")).unwrap();
    run(&lock, None).unwrap();
}

#[test]
fn a_change_that_survives_asks_for_an_update() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join("events.lock");
    fs::write(
        &lock,
        r#"{"about": "", "events": {"e.made": {"1": {"name": "string", "old": "null"}}}}"#,
    )
    .expect("a file");
    let before = fs::read_to_string(&lock).expect("a file");
    let complaint = run(&lock, None).unwrap_err();
    assert!(
        complaint.contains("what is stored can still be read. Run the test with FACTUM_UPDATE=1")
    );
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
fn an_update_never_takes_in_what_breaks() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join("events.lock");
    let before = r#"{"about": "", "events": {"e.made": {"1": {}}}}"#;
    fs::write(&lock, before).expect("a file");
    for update in [None, Some("1")] {
        let complaint = run(&lock, update).unwrap_err();
        assert!(
            complaint.contains("e.made, version 1: `name` is required"),
            "{complaint}"
        );
    }
    assert_eq!(fs::read_to_string(&lock).expect("a file"), before);
}
