//! `kill -9` of a process that appends with an inline projection: its table holds what the log holds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod tally;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use factum::store::EventStore as _;
use factum_sqlite::{SqliteOptions, SqliteStore};
use tally::{Sums, added, same, sees};

const FILE: &str = "FACTUM_KILLED_FILE";

async fn open(file: &Path) -> SqliteStore {
    let options = SqliteOptions::new(file).inline(Sums::<1>);
    options.open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that is killed by the test beside it"]
async fn appends_until_it_is_killed() {
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

/// Kills the process once it has told of so many appends; the positions of all that it has told of.
fn append_until_killed(file: &Path, appends: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "appends_until_it_is_killed", "--ignored"])
        .arg("--nocapture")
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let position = line.strip_prefix("acknowledged ");
        told.extend(position.and_then(|position| position.parse::<u64>().ok()));
        if told.len() == appends {
            // Once more behind the first time is as good.
            let _ = child.kill();
        }
    }
    assert!(!child.wait().unwrap().success(), "it ended by itself");
    assert!(told.len() >= appends, "{} of {appends}", told.len());
    told
}

#[tokio::test]
async fn the_table_of_a_killed_process_holds_what_the_log_holds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("killed.db");
    // Enough to vary the moments: the scheduling does the rest.
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos() as usize;
    for round in 0..8 {
        let appends = (seed ^ (round * 0x9E37)) % 400 + 1;
        let told = append_until_killed(&file, appends);
        // Without the projection: what the killed process left, not what opening makes of it.
        let bare = SqliteStore::open(&file).await.unwrap();
        let stored = same(&bare).await as u64;
        for position in told {
            assert!(position <= stored, "{position} of {stored}");
            assert!(sees(bare.pool(), position).await, "{position}");
        }
        bare.close().await;
        let store = open(&file).await;
        store.append(added(99, &[1])).await.unwrap();
        assert_eq!(same(&store).await as u64, stored + 1);
        store.close().await;
    }
}
