//! Runs a process manager, a handler and the deadlines of decisions on the place of its first argument until its input
//! ends; then until nothing is due any more. Prints a line for each command that it is about to decide and for each
//! mail, and one with its own name once it takes the events.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use factum::{HandlerOptions, ProcessManagers, ProjectionState};
use factum_tests::backend::Backend;
use factum_tests::load::PATIENT;
use factum_tests::orders::{DECIDES, Mails, Remind, Shop};

fn say(line: &str) {
    // Nobody reads any more: the kill is near.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let place = std::env::args().nth(1).context("no place is given")?;
    let backend = Backend::open(&place).await?;
    let engine = backend.engine();
    DECIDES.get_or_init(|| || say("decides\n"));
    let mails = Mails(|position| say(&format!("mails {position}\n")));
    let running = ProcessManagers::builder(&engine)
        .with::<Shop>()
        .handler_with("mails", mails, HandlerOptions::default().from_first())
        .deadlines::<Remind>()
        .retry(PATIENT)
        .lease(Duration::from_millis(300))
        .start();
    let mut ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let mut told = false;
    loop {
        tokio::select! {
            ended = &mut ended => {
                ended??;
                break;
            }
            _ = ticks.tick(), if !told => {}
        }
        let status = running.status();
        let shop = status.iter().find(|it| it.name == "shop");
        let shop = &shop.context("it runs")?.events;
        if let (Some(Some(me)), false) = (
            shop.owners.first(),
            told || shop.state == ProjectionState::Elsewhere,
        ) {
            say(&format!("is {me}\n"));
            told = true;
        }
    }
    running.wait_until_idle().await?;
    running.stop().await;
    Ok(())
}
