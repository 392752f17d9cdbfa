//! Measures `eventcore` on SQLite.

#[path = "../../eventcore/src/bank.rs"]
mod bank;
#[path = "../../eventcore/src/command.rs"]
mod command;
#[path = "../../eventcore/src/projection.rs"]
mod projection;

use std::path::Path;

use bank::EventcoreBank;
use benchmark_harness::{Args, Bank, Database, Parser, anyhow::Result, reject, run, tokio};
use eventcore_sqlite::{SqliteEventStore, rusqlite::Connection};

const NOTE: &str = "WAL, synchronous=FULL, its one connection";

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let line = match &args.database {
        Database::Sqlite(path) => {
            let bank = EventcoreBank::new(open(path).await?, &args, NOTE, None);
            run(&args, bank).await?
        }
        _ => reject(
            EventcoreBank::<SqliteEventStore>::SIDE,
            &args,
            "measured by the program `peer-eventcore`",
        ),
    };
    println!("{line}");
    Ok(())
}

async fn open(path: &Path) -> Result<SqliteEventStore> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let store = SqliteEventStore::from_connection(connection);
    store.migrate().await?;
    Ok(store)
}
