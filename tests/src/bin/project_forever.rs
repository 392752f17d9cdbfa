//! Runs a projection on the place of its first argument until its input ends; then it stops in order. Prints a line
//! for each event that it is about to take, and one whenever it owns more or less.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use factum::{FailurePolicy, Projections};
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::PATIENT;

fn say(line: &str) {
    // Nobody reads any more: the kill is near.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

#[tokio::main]
async fn main() -> Result<()> {
    let place = std::env::args().nth(1).context("no place is given")?;
    let backend = Backend::open(&place).await?;
    let engine = backend.engine();
    let count = Count::<1, 4> {
        on_event: Arc::new(|_| {
            say("applying\n");
            Ok(())
        }),
        delay: Duration::from_millis(1),
    };
    let builder = Projections::builder(&engine)
        .retry(PATIENT)
        .lease(Duration::from_millis(600));
    let projections = count
        .on(&backend, builder, FailurePolicy::DeadLetter)
        .start();
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let me = projections.instance();
    let mut status = projections.watch("counts").context("it runs")?;
    let owned = async {
        let mut before = usize::MAX;
        loop {
            let owners = status.borrow_and_update().owners.clone();
            let owned = owners.iter().filter(|owner| **owner == Some(me)).count();
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
    projections.stop().await;
    Ok(())
}
