//! Appends to the SQLite file of its first argument as fast as it can, until it is killed.
//!
//! Prints a line for each acknowledged append: its number, the position of its last event, and its number of events.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use factum::StreamId;
use factum::store::Metadata;
use factum::store::{Append, ContentType, EventStore as _, ExpectedVersion, NewEvent};
use factum_sqlite::{SqliteOptions, SqliteStore};
use uuid::Uuid;

const WRITERS: u64 = 16;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("missing argument: file")?;
    let round: u64 = arguments
        .next()
        .context("missing argument: round")?
        .parse()?;
    // SQLite does not queue writers: two busy processes need a long timeout.
    let options = SqliteOptions::new(file).busy_timeout(Duration::from_secs(60));
    let store = options.open().await?;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(store.clone(), round, writer)))
        .collect();
    for writer in writers {
        writer.await??;
    }
    Ok(())
}

async fn write(store: SqliteStore, round: u64, writer: u64) -> Result<()> {
    for turn in 0.. {
        let number = format!("{round}.{writer}.{turn}");
        // One to three streams: its own, one that all writers share, and a new one.
        let streams = [
            format!("own-{writer}"),
            "shared-all".to_owned(),
            format!("new-{round}.{writer}.{turn}"),
        ];
        let streams = &streams[..1 + (turn % 3) as usize];
        let count = streams.len() * 2;
        let mut append = Append::default();
        for stream in streams {
            let stream: StreamId = stream.parse()?;
            let events = vec![event(&number, count), event(&number, count)];
            append = append.and_stream(stream, ExpectedVersion::Any, events);
        }
        let appended = store.append(append).await?;
        let line = format!("{number} {} {count}\n", appended.position);
        std::io::stdout().lock().write_all(line.as_bytes())?;
    }
    Ok(())
}

fn event(number: &str, count: usize) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        name: "crash.written".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: format!(r#"{{"append":"{number}","count":{count}}}"#).into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    }
}
