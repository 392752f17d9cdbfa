//! Executes commands on the store of its first argument as fast as it can, until it is killed, and runs a projection.
//!
//! Prints a line for each acknowledged command, and one before the projection applies an event.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use factum::Engine;
use factum_tests::backend::{Backend, CountJars};
use factum_tests::load::Fill;

const WRITERS: u64 = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let location = arguments.next().context("missing argument: location")?;
    let name = arguments.next().context("missing argument: name")?;
    let backend = Backend::open(&location).await?;
    let engine = backend.engine();
    let count = CountJars { on_event: applying };
    let runtime = backend.runtime(&engine, count).await?;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(engine.clone(), format!("{name}.{writer}"))))
        .collect();
    for writer in writers {
        writer.await??;
    }
    runtime.stop().await;
    Ok(())
}

async fn write(engine: Engine, writer: String) -> Result<()> {
    for turn in 0.. {
        let acknowledged = Fill::new(&writer, turn).execute(&engine).await?;
        std::io::stdout()
            .lock()
            .write_all(format!("{acknowledged}\n").as_bytes())?;
    }
    Ok(())
}

fn applying() {
    // Fails if the reader has closed the pipe, shortly before it kills this process.
    let _ = std::io::stdout().lock().write_all(b"applying\n");
}
