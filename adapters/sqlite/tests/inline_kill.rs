//! `kill -9` of a process that appends with an inline projection: its table contains what the log contains.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod adapter;
#[path = "../../../framework/sql/tests/shared/tally.rs"]
mod tally;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use factum::store::EventStore as _;
use factum_sqlite::{SqliteOptions, SqliteStore};
use tally::{Sums, added, build, compare, has_effect};

const FILE: &str = "FACTUM_KILLED_FILE";

async fn open(file: &Path) -> SqliteStore {
    let options = SqliteOptions::new(file).inline(Sums::<1>);
    options.open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in the process that the other test kills"]
async fn process_that_appends() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let store = open(Path::new(&file)).await;
    let writers = (0..16_u64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for turn in 0_u64.. {
                let amounts = vec![turn; 1 + turn as usize % 3];
                let appended = store.append(added(writer, &amounts)).await.unwrap();
                let line = format!("\nacknowledged {}\n", appended.position);
                let mut out = std::io::stdout().lock();
                out.write_all(line.as_bytes()).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// Kills a process after `appends` acknowledged appends, and returns the acknowledged positions.
fn append_until_killed(file: &Path, appends: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process_that_appends", "--ignored"])
        .arg("--nocapture")
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let position = line.strip_prefix("acknowledged ");
        acknowledged.extend(position.and_then(|position| position.parse::<u64>().ok()));
        if acknowledged.len() == appends {
            // It may be called again.
            let _ = child.kill();
        }
    }
    assert!(
        !child.wait().unwrap().success(),
        "the process was not killed"
    );
    assert!(
        acknowledged.len() >= appends,
        "{} of {appends}",
        acknowledged.len()
    );
    acknowledged
}

#[tokio::test]
async fn table_of_a_killed_process_equals_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("killed.db");
    let store = open(&file).await;
    build::<1>(&store).await;
    store.close().await;
    // Varies the moments of the kills.
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos() as usize;
    for round in 0..8 {
        let appends = (seed ^ (round * 0x9E37)) % 400 + 1;
        let acknowledged = append_until_killed(&file, appends);
        let bare = SqliteStore::open(&file).await.unwrap();
        let stored = compare(&bare).await as u64;
        for position in acknowledged {
            assert!(position <= stored, "{position} of {stored}");
            assert!(has_effect(&bare, position).await, "{position}");
        }
        bare.close().await;
        let store = open(&file).await;
        store.append(added(99, &[1])).await.unwrap();
        assert_eq!(compare(&store).await as u64, stored + 1);
        store.close().await;
    }
}
