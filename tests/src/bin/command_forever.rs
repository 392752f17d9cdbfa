//! Executes commands as fast as it can on the place of its first argument, with a projection beside them, until it
//! is killed. Prints a line for each command that was acknowledged, once it was, and one for each event that
//! the projection is about to take.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use factum::Engine;
use factum_tests::backend::{Backend, CountJars};
use factum_tests::load::Fill;

const WRITERS: u64 = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().context("no place is given")?;
    let name = arguments.next().context("no name is given")?;
    let backend = Backend::open(&place).await?;
    let engine = backend.engine();
    let projections = backend.projections(&engine, CountJars { on_event: applying });
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(engine.clone(), format!("{name}.{writer}"))))
        .collect();
    for writer in writers {
        writer.await??;
    }
    projections.stop().await;
    Ok(())
}

async fn write(engine: Engine, writer: String) -> Result<()> {
    for turn in 0.. {
        let told = Fill::new(&writer, turn).execute(&engine).await?;
        std::io::stdout()
            .lock()
            .write_all(format!("{told}\n").as_bytes())?;
    }
    Ok(())
}

fn applying() {
    // Nobody reads any more: the kill is near.
    let _ = std::io::stdout().lock().write_all(b"applying\n");
}
