//! What each example prints.

use std::path::PathBuf;
use std::process::Command;

/// Runs the example. Cargo builds examples together with the tests, and puts them beside the tests' folder;
/// a run of this test alone (`--test outputs`) takes the example as it was built last.
fn output_of(example: &str, arguments: &[&str]) -> String {
    let test: PathBuf = std::env::current_exe().expect("a path to this test");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("target/debug/deps/outputs")
        .join("examples");
    let program = folder.join(example);
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {errors}");
    assert_eq!(errors, "", "{example} complains");
    String::from_utf8(output.stdout).expect("text")
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

/// How long it takes, and so what is told on the way, is another each time.
#[test]
fn rebuild() {
    let output = output_of("rebuild", &["20000"]);
    let (filled, anew) = output.split_once("It is built anew").expect("two builds");
    assert!(
        filled.starts_with("20,000 measurements are stored"),
        "{output}"
    );
    let end = "\n  20,000 of 20,000: readers see build 1\n";
    assert!(filled.ends_with(end), "{output}");
    let switched = ": readers see build 2\nMeanwhile";
    assert!(anew.contains(switched), "{output}");
    for build in [filled, anew] {
        let of = |line: &str| {
            line.split_once(" of ")?
                .0
                .trim()
                .replace(',', "")
                .parse()
                .ok()
        };
        let positions: Vec<u64> = build.lines().filter_map(of).collect();
        assert!(positions.len() > 3 && positions.is_sorted(), "{output}");
        assert!(build.contains(" events/s, "), "{output}");
    }
}
