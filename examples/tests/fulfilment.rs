//! The shop may be killed at any moment, again and again: it ends as if it had not been.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use factum::{EventStore as _, Position, Query, Read};
use factum_sqlite::SqliteStore;

const KILLS: u64 = 50;

/// Cargo builds examples together with the tests, and puts them beside the tests' folder.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    folder.join("fulfilment")
}

fn open(file: &Path) -> Child {
    let mut shop = Command::new(program());
    shop.arg(file).stdout(Stdio::piped()).stderr(Stdio::piped());
    shop.spawn().unwrap()
}

/// What the shop prints.
fn print(file: &Path) -> String {
    let output = open(file).wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the shop prints at its end.
fn to_the_end(file: &Path) -> String {
    let text = print(file);
    let (_, board) = text.split_once("\nThe board at the end").unwrap();
    board.to_owned()
}

/// The events of each stream, without what differs from run to run: times and ids.
async fn streams(file: &Path) -> BTreeMap<String, Vec<String>> {
    let store = SqliteStore::open(file).await.unwrap();
    let mut streams: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut after = Position::ZERO;
    loop {
        let page = store
            .read(Read::all(Query::all()).after(after))
            .await
            .unwrap();
        for event in &page.events {
            let mut data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
            // Sealed, each time differently.
            data.as_object_mut().unwrap().remove("address");
            let text = format!("{} {data}", event.name);
            streams
                .entry(event.stream.to_string())
                .or_default()
                .push(text);
        }
        after = page.through();
        if !page.more {
            break;
        }
    }
    store.close().await;
    // Who comes first is put aside first.
    for (_, events) in streams
        .iter_mut()
        .filter(|(stream, _)| stream.starts_with("stock-"))
    {
        events.sort();
    }
    streams
}

async fn head(file: &Path) -> Position {
    let store = SqliteStore::open(file).await.unwrap();
    let head = *store.watch().borrow();
    store.close().await;
    head
}

#[tokio::test]
async fn a_shop_that_was_killed_again_and_again_ends_like_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let [quiet, killed] = ["quiet.db", "killed.db"].map(|name| folder.path().join(name));
    let board = to_the_end(&quiet);
    insta::assert_snapshot!(board);

    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = std::env::var("FACTUM_SEED").map_or(seed.as_secs(), |seed| seed.parse().unwrap());
    println!("FACTUM_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut heads = BTreeSet::new();
    for round in 0..KILLS {
        let mut shop = open(&killed);
        // Longer and longer, so that it is killed at every stage.
        std::thread::sleep(Duration::from_micros(dice.u64(..30_000 + 12_000 * round)));
        // It may have come to its end meanwhile; to be opened and killed again must do no harm then, either.
        shop.kill().unwrap();
        shop.wait().unwrap();
        heads.insert(head(&killed).await);
    }
    assert!(heads.len() > 3, "killed at too few moments: {heads:?}");
    println!("killed where so many events were stored: {heads:?}");
    assert_eq!(to_the_end(&killed), board);
    assert_eq!(streams(&killed).await, streams(&quiet).await);
}

/// The results of the live query that the shop prints, with their positions.
fn results(text: &str) -> Vec<(&str, u64)> {
    let result = |line| {
        let result: &str = str::strip_prefix(line, "  ▸ ")?;
        let (result, position) = result.split_once(", as of event ")?;
        Some((result, position.parse().unwrap()))
    };
    text.lines().filter_map(result).collect()
}

#[test]
fn a_live_query_goes_on_where_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop.db");
    let end = "0 open, 2 shipped, 3 cancelled";
    let first = print(&shop);
    let first = results(&first);
    assert!(
        first.is_sorted_by(|(_, one), (_, next)| one < next),
        "{first:?}"
    );
    assert_eq!(first.last().unwrap().0, end);
    let again = print(&shop);
    assert_eq!(results(&again), []);
    let (_, last) = first[first.len() - 1];
    std::fs::write(shop.with_extension("seen"), (last - 1).to_string()).unwrap();
    let again = print(&shop);
    assert_eq!(results(&again), [(end, last)]);
}
