//! The bank of the tutorial, support for the examples, and the programs of the book as documentation tests.
// A reader who copies a program gets no warnings.
#![doc(test(attr(deny(unused))))]

#[expect(
    missing_docs,
    reason = "the tutorial explains the code, which must match it"
)]
pub mod bank;
pub mod output;

/// The pages of the book. `build.rs` writes their modules.
#[cfg(doctest)]
mod book {
    include!(concat!(env!("OUT_DIR"), "/book.rs"));
}
