//! Runs a projection on the store of its first argument until its input ends; then shuts down gracefully.
//!
//! Prints a line before the projection applies an event, and one when the number of owned partitions changes.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use factum::Runtime;
use factum::runtime::FailurePolicy;
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::PATIENT;

fn say(line: &str) {
    // Fails if the reader has closed the pipe, shortly before it kills this process.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

#[tokio::main]
async fn main() -> Result<()> {
    let location = std::env::args()
        .nth(1)
        .context("missing argument: location")?;
    let backend = Backend::open(&location).await?;
    let engine = backend.engine();
    let count = Count::<1, 4> {
        on_event: Arc::new(|_| {
            say("applying\n");
            Ok(())
        }),
        delay: Duration::from_millis(1),
    };
    let builder = Runtime::builder(&engine)
        .retry(PATIENT)
        .lease(Duration::from_millis(600));
    let runtime = count
        .on(&backend, builder, FailurePolicy::DeadLetter)
        .start()
        .await?;
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let me = runtime.node();
    let mut status = runtime.projection::<Count>()?.watch();
    let owned = async {
        let mut before = usize::MAX;
        loop {
            let nodes = status.borrow_and_update().nodes.clone();
            let owned = nodes.iter().filter(|node| **node == Some(me)).count();
            if owned != before {
                say(&format!("owns {owned}\n"));
                before = owned;
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        ended = ended => drop(ended??),
        () = owned => {}
    }
    runtime.stop().await;
    Ok(())
}
