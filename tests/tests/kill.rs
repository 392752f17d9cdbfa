//! `kill -9` of a process that writes as fast as it can: promises 1, 2 and 4 on a real file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use factum::{EventStore as _, Query, Read, RecordedEvent};
use factum_sqlite::SqliteStore;

const ROUNDS: u64 = 20;

#[derive(serde::Deserialize)]
struct Written {
    append: String,
    count: usize,
}

/// An append that the child was told is stored.
struct Acknowledged {
    append: String,
    position: u64,
    count: usize,
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_acknowledged_and_leaves_nothing_half() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("crash.db");
    // Printed on failure, and enough to vary the moments: the scheduling does the rest.
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let moment = (u64::from(seed) ^ (round * 0x9E37_79B9)) % 1_500 + 1;
        acknowledged.extend(write_until_killed(&file, round, moment));
        let store = SqliteStore::open(&file).await.unwrap();
        let events = everything(&store).await;
        store.close().await;
        check(
            &events,
            &acknowledged,
            &format!("round {round}, seed {seed}"),
        );
    }
    assert!(acknowledged.len() as u64 > ROUNDS);
}

#[tokio::test]
async fn two_processes_on_one_file_keep_what_each_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("crash.db");
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let writers = [100 + round * 2, 101 + round * 2].map(|number| {
            let file = file.clone();
            std::thread::spawn(move || write_until_killed(&file, number, 200 + number))
        });
        for writer in writers {
            acknowledged.extend(writer.join().unwrap());
        }
        let store = SqliteStore::open(&file).await.unwrap();
        let events = everything(&store).await;
        store.close().await;
        check(&events, &acknowledged, &format!("round {round}"));
    }
}

/// Kills a writer once it has told of `moment` appends, and gives back all that it told of.
fn write_until_killed(file: &Path, round: u64, moment: u64) -> Vec<Acknowledged> {
    let mut child: Child = Command::new(env!("CARGO_BIN_EXE_append_forever"))
        .arg(file)
        .arg(round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        // Behind the kill, what is left in the pipe; a line without an end was not told.
        if lines.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            break;
        }
        acknowledged.push(parse(&line));
        if acknowledged.len() as u64 == moment {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success(), "the writer ended by itself: {status}");
    assert!(
        acknowledged.len() as u64 >= moment,
        "the writer failed after {}",
        acknowledged.len()
    );
    acknowledged
}

fn parse(line: &str) -> Acknowledged {
    let mut words = line.split_whitespace();
    Acknowledged {
        append: words.next().unwrap().to_owned(),
        position: words.next().unwrap().parse().unwrap(),
        count: words.next().unwrap().parse().unwrap(),
    }
}

async fn everything(store: &SqliteStore) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    loop {
        let after = events
            .last()
            .map_or(0, |event: &RecordedEvent| event.position.get());
        let page = store
            .read(Read::all(Query::all()).after(after))
            .await
            .unwrap();
        events.extend(page.events);
        if !page.more {
            return events;
        }
    }
}

fn check(events: &[RecordedEvent], acknowledged: &[Acknowledged], when: &str) {
    let mut versions: HashMap<&str, u64> = HashMap::new();
    let mut appends: HashMap<String, Vec<u64>> = HashMap::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(
            event.position.get(),
            index as u64 + 1,
            "{when}: a gap in the positions"
        );
        let version = versions.entry(event.stream.as_str()).or_default();
        *version += 1;
        assert_eq!(
            event.version.get(),
            *version,
            "{when}: a gap in {}",
            event.stream
        );
        let written: Written = serde_json::from_slice(&event.data).unwrap();
        counts.insert(written.append.clone(), written.count);
        appends
            .entry(written.append)
            .or_default()
            .push(event.position.get());
    }
    for (append, positions) in &appends {
        assert_eq!(
            positions.len(),
            counts[append],
            "{when}: half of append {append}"
        );
    }
    for told in acknowledged {
        let positions = appends.get(&told.append);
        let positions =
            positions.unwrap_or_else(|| panic!("{when}: append {} is lost", told.append));
        let expected: Vec<u64> = (told.position + 1 - told.count as u64..=told.position).collect();
        assert_eq!(
            positions, &expected,
            "{when}: append {} is elsewhere",
            told.append
        );
    }
}
