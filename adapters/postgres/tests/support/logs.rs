//! [`Logs`]: the log messages of one test, whose runtime has one thread.

#![allow(dead_code, reason = "no test uses all items")]

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The log messages of the current thread, until it is dropped.
pub struct Logs {
    buffer: Buffer,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Logs {
    pub fn start() -> Self {
        let buffer = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(buffer.clone());
        Self {
            _guard: subscriber.set_default(),
            buffer,
        }
    }

    /// Returns the warnings so far.
    pub fn warnings(&self) -> Vec<String> {
        let bytes = self.buffer.0.lock().expect("no writer panics").clone();
        let text = String::from_utf8(bytes).expect("messages are UTF-8");
        let warnings = text.lines().filter(|line| line.contains(" WARN "));
        warnings.map(str::to_owned).collect()
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Buffer {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}
