//! What an example tells.

use std::fmt;
use std::io::{self, Write as _};
use std::process;

/// As `println!`, but a reader who goes away, as `head -1` does, ends the program in peace instead of by a panic.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {
        $crate::say::line(format_args!($($text)*))
    };
}

/// A line on the standard output. If nobody reads it, the program ends.
pub fn line(text: fmt::Arguments<'_>) {
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            eprintln!("the output cannot be written: {error}");
            process::exit(1);
        }
    }
}
