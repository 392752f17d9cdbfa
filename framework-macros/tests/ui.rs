//! What does not compile, and what the compiler says instead: one mistake, one error, at its place.
//!
//! `TRYBUILD=overwrite cargo test -p factum-macros --test ui` writes the messages anew.

#[test]
fn each_mistake_is_told_once_and_where_it_is() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/pass/*.rs");
    cases.compile_fail("tests/ui/*/*.rs");
}
