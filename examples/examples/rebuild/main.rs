//! Rebuilds a read model with a progress bar, while writers keep writing and a reader reads the active build.
//!
//! ```sh
//! cargo run --example rebuild             # 100,000 events
//! cargo run --example rebuild -- 1000000  # any number of events
//! ```

mod bar;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use factum::Position;
use factum::prelude::*;
use factum_examples::outln;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};
use indicatif::HumanCount;
use tokio::task::JoinSet;

const STATIONS: u64 = 20;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "station")]
enum StationEvent {
    Measured { celsius: i32 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "station", id = u64, event = StationEvent)]
struct Station;

impl Apply<StationEvent> for Station {
    fn apply(&mut self, _: &StationEvent) {}
}

/// Reports all measurements of a weather station since its previous report.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Station)]
struct Report {
    #[id]
    station: u64,
    celsius: Vec<i32>,
}

impl Decide for Report {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Station) -> Result<Events<StationEvent>, Self::Error> {
        let measured = |&celsius| StationEvent::Measured { celsius };
        Ok(self.celsius.iter().map(measured).collect())
    }
}

/// A table with the number of measurements and the highest temperature of each station.
#[derive(Projection)]
#[projection(name = "weather", version = 1, events = StationEvent)]
struct Weather;

impl SqlProjection for Weather {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(
            "create table if not exists {weather} (
                 station text primary key, measured bigint not null, warmest integer not null)",
        )
        .await
    }
}

impl SqlProject<StationEvent> for Weather {
    async fn project(
        &self,
        event: &Recorded<StationEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let StationEvent::Measured { celsius } = event.event;
        let sql = "insert into {weather} (station, measured, warmest) values ($1, 1, $2)
                   on conflict (station) do update
                   set measured = measured + 1, warmest = max(warmest, excluded.warmest)";
        let upsert = db.query(sql).bind(event.record.stream.key());
        upsert.bind(celsius).execute().await?;
        Ok(())
    }
}

/// Returns the number of measurements in the active build.
async fn measured(store: &SqliteStore) -> Result<i64, SqlError> {
    let sql = "select coalesce(sum(measured), 0) from weather";
    store.query(sql).fetch_one().await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let events = std::env::args()
        .nth(1)
        .map_or(Ok(100_000), |events| events.parse())?;
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path().join("weather.db")).await?;
    let engine = Engine::new(store.clone());

    let started = Instant::now();
    let last = fill(&engine, events).await?;
    let elapsed = started.elapsed().as_secs_f64();
    outln!(
        "Stored {} measurements in {elapsed:.1} s. A projection fills a table:",
        HumanCount(events)
    );
    let runtime = Runtime::builder(&engine)
        .projection(store.read_model(Weather))
        .start()
        .await?;
    let weather = runtime.projection::<Weather>()?;
    bar::show(weather.watch(), weather.wait_for(last)).await?;

    outln!("The table is rebuilt, while the stations keep writing and a reader keeps reading:");
    let end = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for station in 0..STATIONS {
        writers.spawn(write(station, engine.clone(), end.clone()));
    }
    let reader = tokio::spawn(read(store.clone(), end.clone()));
    bar::show(weather.watch(), weather.rebuild()).await?;

    end.store(true, Relaxed);
    let (mut written, mut last) = (0, last);
    while let Some(writer) = writers.join_next().await {
        let (more, position) = writer??;
        (written, last) = (written + more, last.max(position));
    }
    let reads = reader.await??;
    weather.wait_for(last).await?;
    assert_eq!(measured(&store).await?, i64::try_from(last.get())?);
    outln!(
        "Meanwhile, {} measurements were stored. The table was read {} times, and never lost a measurement.",
        HumanCount(written),
        HumanCount(reads),
    );
    runtime.stop().await;
    store.close().await;
    Ok(())
}

/// Stores the given number of events, in batches of a thousand.
async fn fill(engine: &Engine, events: u64) -> anyhow::Result<Position> {
    let mut last = Position::ZERO;
    for first in (0..events).step_by(1_000) {
        let numbers = first..events.min(first + 1_000);
        let report = Report {
            station: first / 1_000 % STATIONS,
            celsius: numbers
                .map(|number| (number * 7 % 45) as i32 - 10)
                .collect(),
        };
        last = engine.execute(report).await?.position();
    }
    Ok(last)
}

/// Stores measurements until `end` is set. Returns their number and the last position.
async fn write(
    station: u64,
    engine: Engine,
    end: Arc<AtomicBool>,
) -> anyhow::Result<(u64, Position)> {
    let celsius = vec![21];
    let report = Report { station, celsius };
    let mut written = 0;
    loop {
        let receipt = engine.execute(report.clone()).await?;
        written += 1;
        if end.load(Relaxed) {
            return Ok((written, receipt.position()));
        }
    }
}

/// Reads the table until `end` is set, and returns the number of reads.
async fn read(store: SqliteStore, end: Arc<AtomicBool>) -> anyhow::Result<u64> {
    let (mut reads, mut before) = (0, 0);
    while !end.load(Relaxed) {
        let now = measured(&store).await?;
        anyhow::ensure!(
            now >= before,
            "the table lost measurements: {now} after {before}"
        );
        (reads, before) = (reads + 1, now);
    }
    Ok(reads)
}
