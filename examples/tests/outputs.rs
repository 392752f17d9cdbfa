//! What each example prints.

use std::path::PathBuf;
use std::process::Command;

/// Runs the example. Cargo builds examples together with the tests, and puts them beside the tests' folder;
/// a run of this test alone (`--test outputs`) takes the example as it was built last.
fn output_of(example: &str) -> String {
    let test: PathBuf = std::env::current_exe().expect("a path to this test");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("target/debug/deps/outputs")
        .join("examples");
    let program = folder.join(example);
    let output = Command::new(&program)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {errors}");
    assert_eq!(errors, "", "{example} complains");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn basic_workflow() {
    insta::assert_snapshot!(output_of("basic_workflow"));
}

#[test]
fn bank() {
    insta::assert_snapshot!(output_of("bank"));
}

#[test]
fn catalog() {
    insta::assert_snapshot!(output_of("catalog"));
}

#[test]
fn projection_example() {
    insta::assert_snapshot!(output_of("projection_example"));
}
