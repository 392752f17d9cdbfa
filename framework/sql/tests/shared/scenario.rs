//! The scenario of the test kit for projections in tables.
//!
//! The crate that includes it has a module `adapter` with `fresh`, which opens an empty store.

use factum::Timestamp;
use factum::prelude::*;
use factum::store::Metadata;
use factum_sql::{BoxError, Sql, SqlError, SqlProject, SqlProjection};
use factum_testkit::sql_projection;
use uuid::Uuid;

use crate::adapter::{Store, fresh};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "meter")]
pub enum MeterEvent {
    Read { value: f64, final_reading: bool },
    Broken,
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "owner")]
pub enum OwnerEvent {
    Moved { owner: Uuid },
}

#[derive(Projection)]
#[projection(name = "meters", events = (MeterEvent, OwnerEvent))]
pub struct Meters;

impl SqlProjection for Meters {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(
            "create table if not exists {reading} (
                 meter  text not null,
                 value  double precision,
                 final  boolean,
                 owner  uuid,
                 actor  text,
                 micros bigint not null)",
        )
        .await
    }
}

impl SqlProject<MeterEvent> for Meters {
    async fn project(
        &self,
        event: &Recorded<MeterEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let MeterEvent::Read {
            value,
            final_reading,
        } = event.event
        else {
            return Err("the meter is broken".into());
        };
        let insert = db.query(
            "insert into {reading} (meter, value, final, actor, micros) values ($1, $2, $3, $4, $5)",
        );
        let record = &event.record;
        let insert = insert
            .bind(record.stream.key())
            .bind(value)
            .bind(final_reading);
        let insert = insert
            .bind(record.metadata.actor.clone())
            .bind(record.recorded_at);
        insert.execute().await?;
        Ok(())
    }
}

impl SqlProject<OwnerEvent> for Meters {
    async fn project(
        &self,
        event: &Recorded<OwnerEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let OwnerEvent::Moved { owner } = event.event;
        let update = db.query("update {reading} set owner = $1 where meter = $2");
        update
            .bind(owner)
            .bind(event.record.stream.key())
            .execute()
            .await?;
        Ok(())
    }
}

pub const VALUES: &str = "select meter, value from reading order by micros, meter";

pub fn read(value: f64) -> MeterEvent {
    MeterEvent::Read {
        value,
        final_reading: false,
    }
}

/// Returns the message of the panic of a scenario.
async fn panic_of<T>(scenario: impl Future<Output = T> + Send + 'static) -> String
where
    T: Send + 'static,
{
    let Err(error) = tokio::spawn(scenario).await else {
        panic!("the scenario did not fail");
    };
    *error.into_panic().downcast::<String>().unwrap()
}

async fn store() -> Option<Store> {
    fresh().await
}

#[tokio::test]
async fn scenario_compares_rows_after_each_step() {
    let Some(store) = store().await else { return };
    sql_projection(store, Meters)
        .then(VALUES, [(); 0])
        .await
        .given("meter-a", [read(1.5)])
        .given("meter-b", [read(2.0)])
        .then(VALUES, [("a", 1.5), ("b", 2.0)])
        .await
        .then("select count(*) from reading", [2])
        .await
        .given("meter-a", [read(3.0)])
        .then(
            "select value from reading where meter = 'a' order by value",
            [1.5, 3.0],
        )
        .await;
}

#[tokio::test]
async fn scenario_reads_all_types_of_values() {
    let Some(store) = store().await else { return };
    let owner = Uuid::from_u128(7);
    let mut metadata = Metadata::default();
    metadata.actor = Some("ann".to_owned());
    let time = Timestamp::from_micros(1_700_000_000_000_000);
    sql_projection(store, Meters)
        .at(time)
        .given("meter-a", [read(1.0)])
        .then(
            "select owner, actor, final from reading",
            [(None::<Uuid>, None::<String>, false)],
        )
        .await
        .metadata(metadata)
        .given(
            "meter-b",
            [MeterEvent::Read {
                value: 2.0,
                final_reading: true,
            }],
        )
        .given("owner-b", [OwnerEvent::Moved { owner }])
        .then(
            "select owner, actor, final, value, micros from reading where meter = 'b'",
            [(Some(owner), Some("ann"), true, 2.0, time)],
        )
        .await;
}

#[tokio::test]
async fn scenario_shows_rows_that_differ() {
    let Some(store) = store().await else { return };
    let line = line!() + 4;
    let failure = panic_of(async {
        sql_projection(store, Meters)
            .given("meter-a", [read(1.5)])
            .then(VALUES, [("a", 2.5), ("b", 0.0)])
            .await
    });
    let expected = format!(
        "the rows differ: {VALUES}\n  expected: [(\"a\", 2.5), (\"b\", 0.0)]\n  found:    [(\"a\", 1.5)]\n  at {}:{line}:",
        file!()
    );
    let failure = failure.await;
    assert!(failure.starts_with(&expected), "{failure}");
}

#[tokio::test]
async fn scenario_fails_with_the_error_of_the_projection() {
    let Some(store) = store().await else { return };
    let failure = panic_of(async {
        sql_projection(store, Meters)
            .given("meter-a", [read(1.5), MeterEvent::Broken])
            .then(VALUES, [(); 0])
            .await
    });
    let failure = failure.await;
    let expected = r#"consumer "meters" stopped at position "#;
    assert!(failure.starts_with(expected), "{failure}");
    let cause = "event meter.broken at position 2 failed: the meter is broken";
    assert!(failure.contains(cause), "{failure}");
}

#[tokio::test]
async fn scenario_fails_with_the_error_of_the_query() {
    let Some(store) = store().await else { return };
    let failure = panic_of(async {
        sql_projection(store, Meters)
            .then("select colour from reading", [""])
            .await
    });
    let failure = failure.await;
    assert!(failure.starts_with("query failed: "), "{failure}");
    assert!(failure.contains("colour"), "{failure}");
}

#[tokio::test]
async fn scenario_rejects_times_out_of_order() {
    let Some(store) = store().await else { return };
    let failure = panic_of(async {
        sql_projection(store, Meters)
            .at(Timestamp::from_micros(2))
            .given("meter-a", [read(1.0)])
            .at(Timestamp::from_micros(1))
            .given("meter-a", [read(1.0)])
            .then(VALUES, [(); 0])
            .await
    });
    let failure = failure.await;
    assert!(
        failure.starts_with("time of meter.read is before"),
        "{failure}"
    );
}

/// An event with personal data is stored in plain text, because a scenario has no keys.
mod personal {
    use super::*;

    #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[event(prefix = "guest")]
    enum GuestEvent {
        Arrived {
            guest: String,
            #[personal(subject = guest)]
            name: String,
        },
    }

    #[derive(Projection)]
    #[projection(name = "guests", events = GuestEvent)]
    struct Guests;

    impl SqlProjection for Guests {
        async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
            db.execute("create table if not exists {guest} (name text)")
                .await
        }
    }

    impl SqlProject<GuestEvent> for Guests {
        async fn project(
            &self,
            event: &Recorded<GuestEvent>,
            db: &mut Sql<'_>,
        ) -> Result<(), BoxError> {
            let GuestEvent::Arrived { name, .. } = &event.event;
            db.query("insert into {guest} (name) values ($1)")
                .bind(name)
                .execute()
                .await?;
            Ok(())
        }
    }

    #[tokio::test]
    async fn scenario_projects_personal_data() {
        let Some(store) = store().await else { return };
        let arrived = GuestEvent::Arrived {
            guest: "g-1".to_owned(),
            name: "Ann".to_owned(),
        };
        sql_projection(store, Guests)
            .given("guest-1", [arrived])
            .then("select name from guest", ["Ann"])
            .await;
    }
}
