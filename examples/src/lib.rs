//! The bank that the tutorial builds, for the examples to use, and the tutorial as documentation tests.

#[expect(
    missing_docs,
    reason = "its text is the tutorial's, which explains it between the lines"
)]
pub mod bank;
