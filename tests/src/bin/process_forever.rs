//! Runs a process manager, a handler and the deadlines of decisions on the place of its first argument until its input
//! ends; then until nothing is due any more. Prints a line for each command that it is about to decide and for each
//! mail, and one with its own name ahead of them.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context as _, Result};
use factum::{HandlerOptions, ProcessManagers};
use factum_tests::backend::Backend;
use factum_tests::load::PATIENT;
use factum_tests::orders::{Mailer, ON_DECIDE, Remind, Shop};

fn say(line: &str) {
    // Nobody reads any more: the kill is near.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

/// With a second argument, the first reservation waits in the middle of its decision until there is a file of that name.
fn decides(command: &str) {
    static HELD: Once = Once::new();
    say("decides\n");
    if let (Some(until), "Reserve") = (std::env::args().nth(2), command) {
        HELD.call_once(|| {
            while !Path::new(&until).exists() {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let place = std::env::args().nth(1).context("no place is given")?;
    let backend = Backend::open(&place).await?;
    let engine = backend.engine();
    ON_DECIDE.get_or_init(|| decides);
    let mails = Mailer(|position| say(&format!("mails {position}\n")));
    let running = ProcessManagers::builder(&engine)
        .with::<Shop>()
        .handler_with("mails", mails, HandlerOptions::default().from_beginning())
        .deadlines::<Remind>()
        .retry(PATIENT)
        .lease(Duration::from_millis(300))
        .start();
    say(&format!("is {}\n", running.instance()));
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await??;
    running.wait_until_idle().await?;
    running.stop().await;
    Ok(())
}
