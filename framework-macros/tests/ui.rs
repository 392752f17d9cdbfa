//! Checks the compile errors of the derives: one mistake causes one error, which points at the mistake.
//!
//! `TRYBUILD=overwrite cargo test -p factum-macros --test ui` regenerates the expected messages.

#[test]
fn compile_errors_match_expected_messages() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/pass/*.rs");
    cases.compile_fail("tests/ui/*/*.rs");
}
