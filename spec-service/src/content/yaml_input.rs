//! A character source for the YAML parser that limits its lookahead.
//!
//! A flow collection can turn out to be a mapping key. The parser therefore reads it to its end before it emits its
//! start event, and queues every token until then. A key that is detected late is inserted into that queue, so a
//! megabyte of nested brackets takes quadratic time. This input ends the text when the queue gets too long.

use std::cell::Cell;

use saphyr_parser::{Input, StrInput};

/// The maximum number of tokens that the parser can read between two events.
pub const MAX_LOOKAHEAD: usize = 8192;

/// A counter of the tokens since the last event, shared between the parser's input and its caller.
#[derive(Debug, Default)]
pub struct TokenCounter {
    count: Cell<usize>,
}

impl TokenCounter {
    /// Restarts the count after an event, unless the limit was exceeded.
    pub fn reset(&self) {
        if !self.limit_exceeded() {
            self.count.set(0);
        }
    }

    /// Returns whether the input ended early because of too many tokens without an event.
    pub fn limit_exceeded(&self) -> bool {
        self.count.get() > MAX_LOOKAHEAD
    }
}

/// A parser input that ends early when its token counter exceeds the limit.
pub struct BoundedInput<'a> {
    text: StrInput<'a>,
    tokens: &'a TokenCounter,
}

impl<'a> BoundedInput<'a> {
    pub fn new(text: &'a str, tokens: &'a TokenCounter) -> Self {
        Self {
            text: StrInput::new(text),
            tokens,
        }
    }
}

impl Input for BoundedInput<'_> {
    fn lookahead(&mut self, count: usize) {
        if self.tokens.limit_exceeded() {
            self.text = StrInput::new("");
        }
        self.text.lookahead(count);
    }

    /// Compares the next character, and counts a token for each check for a byte order mark.
    ///
    /// The scanner makes that check exactly once per token, at its start. It never succeeds, because a byte order
    /// mark at the start of a text is removed before parsing, and others are rejected.
    fn next_char_is(&self, c: char) -> bool {
        if c == '\u{feff}' {
            self.tokens.count.set(self.tokens.count.get() + 1);
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
