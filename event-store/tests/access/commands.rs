//! The commands of operators, and the start of the server.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::server::{ADMIN, run};

#[test]
fn hash_of_a_password_is_not_repeated() {
    let hash = run(&["hash-password"], "changeit\n").unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    assert_ne!(hash, run(&["hash-password"], "changeit\n").unwrap());
    let error = run(&["hash-password"], "\n").unwrap_err();
    assert!(error.contains("no password on standard input"), "{error}");
}

#[test]
fn created_token_is_an_entry_of_the_file() {
    let arguments = ["create-token", "--name", "ci \"1\"", "--expires-in", "30"];
    let output = run(&arguments, "").unwrap();
    let entry = output.lines().last().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.toml");
    let users = format!("[users.ci]\nroles = []\ntokens = [{entry}]\n");
    std::fs::write(&file, users).unwrap();
    let checked = run(&["check-users", file.to_str().unwrap()], "").unwrap();
    assert_eq!(checked, "1 users and 1 tokens\n");
    let token = output.lines().find(|line| line.starts_with("# factum_"));
    assert!(!entry.contains(token.unwrap().trim_start_matches("# ")));
}

#[test]
fn check_lists_every_violated_rule() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.toml");
    let users = r#"
        [roles.shop]
        read = ["order-*", "a\u0007"]
        [users."a:b"]
        roles = ["shop", "missing"]
        password = "plain"
        expires = 2026-01-01
        tokens = [{ name = "", sha256 = "12" }]
    "#;
    std::fs::write(&file, users).unwrap();
    let error = run(&["check-users", file.to_str().unwrap()], "").unwrap_err();
    for part in [
        "wildcard",
        "control characters",
        "must not contain `:`",
        "unknown role \"missing\"",
        "invalid `password`",
        "invalid `expires`: 2026-01-01",
        "invalid `sha256`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("plain"), "{error}");
}

/// Starts the server, and returns the first line of its output, or its error.
fn start(arguments: &[&str]) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("users.toml"), &*ADMIN).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_event-store"))
        .current_dir(dir.path())
        .args(["--store", "memory"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    if line.is_empty() {
        let output = child.wait_with_output().unwrap();
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    Ok(line)
}

#[test]
fn reachable_address_needs_users_and_tls() {
    let users = ["--users", "users.toml"];
    let with = |more: &[&str], address: &str| {
        let address = format!("--bind-addr={address}");
        start(&[more, &[&*address]].concat())
    };
    with(&[], "127.0.0.1:0").unwrap();
    with(&users, "127.0.0.1:0").unwrap();
    let error = with(&[], "0.0.0.0:0").unwrap_err();
    assert!(error.contains("without users"), "{error}");
    let error = with(&users, "0.0.0.0:0").unwrap_err();
    assert!(error.contains("without TLS"), "{error}");
    with(&["--insecure"], "0.0.0.0:0").unwrap();
    with(&[&users[..], &["--insecure"]].concat(), "0.0.0.0:0").unwrap();
    let error = with(&["--users", "missing.toml"], "127.0.0.1:0").unwrap_err();
    assert!(error.contains("missing.toml"), "{error}");
}
