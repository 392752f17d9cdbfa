//! Output of the examples.

use std::fmt;
use std::io::{self, Write as _};
use std::process;

/// Prints a line like `println!`, but does not panic if the reader closes the pipe.
///
/// Instead, the program ends. This happens, for example, with `head -1`.
#[macro_export]
macro_rules! outln {
    ($($text:tt)*) => {
        $crate::output::line(format_args!($($text)*))
    };
}

/// Writes a line to the standard output, and ends the program if the reader has closed the pipe.
pub fn line(text: fmt::Arguments<'_>) {
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            eprintln!("cannot write to the standard output: {error}");
            process::exit(1);
        }
    }
}
