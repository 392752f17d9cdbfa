//! A check that the examples of the README are those of the program that runs them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Returns the lines without their indentation.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

#[test]
fn readme_examples_are_run() {
    let program: Vec<&str> = lines(include_str!("../examples/readme.rs")).collect();
    let readme = include_str!("../README.md");
    let blocks = readme.split("```rust\n").skip(1);
    let blocks: Vec<&str> = blocks
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() > 3, "only {} examples", blocks.len());
    // The program connects to the server of the test, without TLS.
    for block in blocks.iter().filter(|block| !block.contains("factums://")) {
        let is_of_program = |line: &&str| {
            let is_other = ["# ", "use ", "let client = "];
            !is_other.iter().any(|start| line.starts_with(start))
        };
        let example: Vec<&str> = lines(block).filter(is_of_program).collect();
        let is_run = program.windows(example.len()).any(|part| part == example);
        assert!(is_run, "the program does not have this example:\n{block}");
    }
}
