//! A source of characters for the YAML parser that bounds how far it looks ahead.
//!
//! A flow collection may turn out to be a mapping's key, so the parser reads it to its end before
//! it tells of its start, and keeps every token until then. A key found late is inserted into that
//! queue, which makes a megabyte of nested brackets quadratic. Here the queue is cut off.

use std::cell::Cell;

use saphyr_parser::{Input, StrInput};

/// The most tokens that the parser may read between two events.
pub(super) const MAX_LOOKAHEAD: usize = 8192;

/// Counts the tokens since the last event. Shared between the parser's input and its driver.
#[derive(Debug, Default)]
pub(super) struct Meter {
    tokens: Cell<usize>,
}

impl Meter {
    /// An event has come: counting starts again, unless the input was cut off.
    pub(super) fn event(&self) {
        if !self.cut() {
            self.tokens.set(0);
        }
    }

    /// Whether the input ended early because too many tokens came without an event.
    pub(super) fn cut(&self) -> bool {
        self.tokens.get() > MAX_LOOKAHEAD
    }
}

/// A text as the parser's input; it ends early when `meter` says so.
pub(super) struct BoundedInput<'a> {
    text: StrInput<'a>,
    meter: &'a Meter,
}

impl<'a> BoundedInput<'a> {
    pub(super) fn new(text: &'a str, meter: &'a Meter) -> Self {
        Self {
            text: StrInput::new(text),
            meter,
        }
    }
}

impl Input for BoundedInput<'_> {
    fn lookahead(&mut self, count: usize) {
        if self.meter.cut() {
            self.text = StrInput::new("");
        }
        self.text.lookahead(count);
    }

    /// The scanner asks for a byte order mark once per token, where the token starts, and nowhere
    /// else; the answer is always no, because a text with marks in it does not come this far.
    fn next_char_is(&self, c: char) -> bool {
        if c == '\u{feff}' {
            self.meter.tokens.set(self.meter.tokens.get() + 1);
        }
        self.text.next_char_is(c)
    }

    fn buflen(&self) -> usize {
        self.text.buflen()
    }

    fn bufmaxlen(&self) -> usize {
        self.text.bufmaxlen()
    }

    fn raw_read_ch(&mut self) -> char {
        self.text.raw_read_ch()
    }

    fn raw_read_non_breakz_ch(&mut self) -> Option<char> {
        self.text.raw_read_non_breakz_ch()
    }

    fn skip(&mut self) {
        self.text.skip();
    }

    fn skip_n(&mut self, count: usize) {
        self.text.skip_n(count);
    }

    fn peek(&self) -> char {
        self.text.peek()
    }

    fn peek_nth(&self, n: usize) -> char {
        self.text.peek_nth(n)
    }

    fn peek_opt(&self) -> Option<char> {
        self.text.peek_opt()
    }
}
