//! `kill -9` of a process that appends to a SQLite file: durability, atomicity and order after a crash.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use factum::store::{EventStore as _, Query, Read, RecordedEvent};
use factum_sqlite::SqliteStore;

const ROUNDS: u64 = 20;

#[derive(serde::Deserialize)]
struct Written {
    append: String,
    count: usize,
}

/// An append that the child process reported as stored.
struct Acknowledged {
    append: String,
    position: u64,
    count: usize,
}

#[tokio::test]
async fn killed_writer_keeps_acknowledged_appends_and_no_partial_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("crash.db");
    // Varies the moments of the kills; printed on failure.
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let moment = (u64::from(seed) ^ (round * 0x9E37_79B9)) % 1_500 + 1;
        acknowledged.extend(write_until_killed(&file, round, moment));
        let store = SqliteStore::open(&file).await.unwrap();
        let events = all_events(&store).await;
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
async fn killed_processes_on_one_file_keep_acknowledged_appends() {
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
        let events = all_events(&store).await;
        store.close().await;
        check(&events, &acknowledged, &format!("round {round}"));
    }
}

/// Kills a writer after `moment` acknowledged appends, and returns all acknowledged appends.
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
        // After the kill, reads the rest of the pipe and ignores an incomplete line.
        if lines.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            break;
        }
        acknowledged.push(parse(&line));
        if acknowledged.len() as u64 == moment {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success(), "the writer was not killed: {status}");
    assert!(
        acknowledged.len() as u64 >= moment,
        "the writer ended after {} appends",
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

async fn all_events(store: &SqliteStore) -> Vec<RecordedEvent> {
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
            "{when}: gap in the positions"
        );
        let version = versions.entry(event.stream.as_str()).or_default();
        *version += 1;
        assert_eq!(
            event.version.get(),
            *version,
            "{when}: gap in the versions of {}",
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
            "{when}: only a part of append {append} is stored"
        );
    }
    for stored in acknowledged {
        let positions = appends.get(&stored.append);
        let positions =
            positions.unwrap_or_else(|| panic!("{when}: append {} is lost", stored.append));
        let expected: Vec<u64> =
            (stored.position + 1 - stored.count as u64..=stored.position).collect();
        assert_eq!(
            positions, &expected,
            "{when}: append {} has other positions",
            stored.append
        );
    }
}
