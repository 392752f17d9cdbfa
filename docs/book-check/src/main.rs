//! Builds the book into the folder that its configuration names.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    factum_book_check::build(&book, &book.join("book"))
}
