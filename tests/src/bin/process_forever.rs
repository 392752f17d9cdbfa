//! Runs a process manager, an event handler and the deadlines of decisions on the store of its first argument.
//!
//! Runs until its input ends and all due work is done. First prints a line with its node id; then one before
//! each decision, and one for each mail.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context as _, Result};
use factum::{Runtime, StartFrom};
use factum_tests::backend::Backend;
use factum_tests::load::PATIENT;
use factum_tests::orders::{Mailer, ON_DECIDE, Remind, Shop};

fn say(line: &str) {
    // Fails if the reader has closed the pipe, shortly before it kills this process.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

/// Reports a decision.
///
/// If there is a second argument, the first reservation waits until a file of this name exists.
fn on_decide(command: &str) {
    static PAUSED: Once = Once::new();
    say("decides\n");
    if let (Some(until), "Reserve") = (std::env::args().nth(2), command) {
        PAUSED.call_once(|| {
            while !Path::new(&until).exists() {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let location = std::env::args()
        .nth(1)
        .context("missing argument: location")?;
    let backend = Backend::open(&location).await?;
    let engine = backend.engine();
    ON_DECIDE.get_or_init(|| on_decide);
    let mails = Mailer(|position| say(&format!("mails {position}\n")));
    let running = Runtime::builder(&engine)
        .process::<Shop>(StartFrom::Beginning)
        .handler("mails", mails, StartFrom::Beginning)
        .deadlines::<Remind>()
        .retry(PATIENT)
        .lease(Duration::from_millis(300))
        .start()
        .await?;
    say(&format!("is {}\n", running.node()));
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await??;
    running.wait_until_idle().await?;
    running.stop().await;
    Ok(())
}
