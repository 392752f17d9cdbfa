//! The output of each example.

use std::path::PathBuf;
use std::process::Command;

/// Runs an example and returns its output.
///
/// Cargo builds the examples together with the tests, in a folder beside that of the tests. A run of this test alone
/// (`--test outputs`) does not rebuild them.
fn output_of(example: &str, arguments: &[&str]) -> String {
    let test: PathBuf = std::env::current_exe().expect("this test has a path");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("the path has the form target/debug/deps/outputs")
        .join("examples");
    let program = folder.join(example);
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {errors}");
    assert_eq!(errors, "", "{example} prints errors");
    String::from_utf8(output.stdout).expect("the output is valid UTF-8")
}

#[test]
fn basic_workflow() {
    insta::assert_snapshot!(output_of("basic_workflow", &[]));
}

#[test]
fn bank() {
    insta::assert_snapshot!(output_of("bank", &[]));
}

#[test]
fn catalog() {
    insta::assert_snapshot!(output_of("catalog", &[]));
}

#[test]
fn projection_example() {
    insta::assert_snapshot!(output_of("projection_example", &[]));
}

/// The duration and the progress lines differ from run to run.
#[test]
fn rebuild() {
    let output = output_of("rebuild", &["20000"]);
    let (first, second) = output
        .split_once("The table is rebuilt")
        .expect("two builds");
    assert!(first.starts_with("Stored 20,000 measurements"), "{output}");
    let end = "\n  20,000 of 20,000: build 1 is active\n";
    assert!(first.ends_with(end), "{output}");
    let promoted = ": build 2 is active\nMeanwhile";
    assert!(second.contains(promoted), "{output}");
    for build in [first, second] {
        let position = |line: &str| {
            line.split_once(" of ")?
                .0
                .trim()
                .replace(',', "")
                .parse()
                .ok()
        };
        let positions: Vec<u64> = build.lines().filter_map(position).collect();
        assert!(positions.len() > 3 && positions.is_sorted(), "{output}");
        assert!(build.contains(" events/s, "), "{output}");
    }
}
