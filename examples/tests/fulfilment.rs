//! The fulfilment example reaches the same result if it is killed many times at random moments.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use factum::Position;
use factum::store::{EventStore as _, Query, Read};
use factum_sqlite::SqliteStore;

const KILLS: u64 = 50;

/// Returns the path of the example.
///
/// Cargo builds it together with the tests, in a folder beside that of the tests.
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

/// Runs the shop and returns its output.
fn run(file: &Path) -> String {
    let output = open(file).wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the shop and returns the final board.
fn final_board(file: &Path) -> String {
    let text = run(file);
    let (_, board) = text.split_once("\nThe board at the end").unwrap();
    board.to_owned()
}

/// Returns the events of each stream, without times and ids, which differ from run to run.
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
            // The encrypted address differs from run to run.
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
    // The order of the reservations of an article may differ.
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
async fn killed_shop_reaches_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let [quiet, killed] = ["quiet.db", "killed.db"].map(|name| folder.path().join(name));
    let board = final_board(&quiet);
    insta::assert_snapshot!(board);

    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = std::env::var("FACTUM_SEED").map_or(seed.as_secs(), |seed| seed.parse().unwrap());
    println!("FACTUM_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut heads = BTreeSet::new();
    for round in 0..KILLS {
        let mut shop = open(&killed);
        // The number of lines before the kill increases, so that the shop is killed at every stage. The shop may end
        // before. Then the next round starts and kills a shop without open work.
        let output = BufReader::new(shop.stdout.take().unwrap());
        let lines = random.u64(..8 + round);
        output.lines().take(lines as usize).for_each(drop);
        std::thread::sleep(Duration::from_micros(random.u64(..5_000)));
        shop.kill().unwrap();
        shop.wait().unwrap();
        heads.insert(head(&killed).await);
    }
    assert!(
        heads.len() > 3,
        "killed at too few different heads: {heads:?}"
    );
    println!("heads at the kills: {heads:?}");
    assert_eq!(final_board(&killed), board);
    assert_eq!(streams(&killed).await, streams(&quiet).await);
}

/// Returns the printed results of the live query, with their positions.
fn results(text: &str) -> Vec<(&str, u64)> {
    let result = |line| {
        let result: &str = str::strip_prefix(line, "  ▸ ")?;
        let (result, position) = result.split_once(", as of event ")?;
        Some((result, position.parse().unwrap()))
    };
    text.lines().filter_map(result).collect()
}

#[test]
fn live_query_continues_after_restart() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop.db");
    let end = "0 open, 2 shipped, 3 cancelled";
    let first = run(&shop);
    let first = results(&first);
    assert!(
        first.is_sorted_by(|(_, one), (_, next)| one < next),
        "{first:?}"
    );
    assert_eq!(first.last().unwrap().0, end);
    let again = run(&shop);
    assert_eq!(results(&again), []);
    let (_, last) = first[first.len() - 1];
    std::fs::write(shop.with_extension("seen"), (last - 1).to_string()).unwrap();
    let again = run(&shop);
    assert_eq!(results(&again), [(end, last)]);
}
