//! Given/then scenarios for projections in tables.

use std::fmt;
use std::panic::Location;

use factum_core::append::{Append, ExpectedVersion};
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::engine::{Engine, RetryPolicy};
use factum_engine::error::error_chain;
use factum_engine::projection::EventsOf;
use factum_engine::record::{NewEvent, RecordedEvent};
use factum_runtime::Runtime;
use factum_runtime::consumer::FailurePolicy;
use factum_sql::{
    FromRow, FromSqlValue, IntoSqlValue, SqlDatabase, SqlDatabaseExt as _, SqlError, SqlProjectSet,
    SqlReadModel, SqlRow, SqlValue,
};
use uuid::Uuid;

use crate::given_log::GivenLog;
use crate::scenario::EventLists;

/// Starts a scenario of `projection` in the database of `store`.
///
/// Each [`given`](SqlProjectionScenario::given) adds events of one stream, and [`then`](SqlProjectionScenario::then)
/// projects them as the runtime does and compares the rows of a query. The first event that fails ends the test.
///
/// On SQLite, use a temporary store: `SqliteStore::temporary()`. On PostgreSQL, use a store in a schema of the test, because
/// the tables and events remain. Personal data is stored without encryption.
///
/// ```
/// use factum::prelude::*;
/// use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};
/// use factum_testkit::sql_projection;
///
/// # #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
/// # enum DoorEvent { Opened, Closed }
/// #[derive(Projection)]
/// #[projection(name = "open_doors", events = DoorEvent)]
/// struct OpenDoors;
///
/// impl SqlProjection for OpenDoors {
///     async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
///         db.execute("create table if not exists {open_door} (door text primary key)").await
///     }
/// }
///
/// impl SqlProject<DoorEvent> for OpenDoors {
///     async fn project(&self, event: &Recorded<DoorEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
///         let sql = match event.event {
///             DoorEvent::Opened => "insert into {open_door} (door) values ($1)",
///             DoorEvent::Closed => "delete from {open_door} where door = $1",
///         };
///         db.query(sql).bind(event.record.stream.key()).execute().await?;
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), factum::store::StoreError> {
/// sql_projection(SqliteStore::temporary().await?, OpenDoors)
///     .given("door-front", [DoorEvent::Opened])
///     .given("door-back", [DoorEvent::Opened])
///     .then("select door from open_door order by door", ["back", "front"])
///     .await
///     .given("door-front", [DoorEvent::Closed])
///     .then("select door from open_door", ["back"])
///     .await;
/// # Ok(()) }
/// ```
#[must_use = "a scenario without `then` tests nothing"]
pub fn sql_projection<S, P>(store: S, projection: P) -> SqlProjectionScenario<S>
where
    S: SqlDatabase + Clone,
    P: SqlProjectSet<EventsOf<P>>,
{
    SqlProjectionScenario {
        model: store.read_model(projection),
        engine: Engine::new(store.clone()),
        store,
        log: GivenLog::default(),
        stored: 0,
        last_time: Timestamp::from_micros(0),
    }
}

/// A scenario of one projection in tables. Created by [`sql_projection`](sql_projection()).
pub struct SqlProjectionScenario<S> {
    store: S,
    model: SqlReadModel,
    engine: Engine,
    log: GivenLog,
    /// The number of events of the log that are in the store.
    stored: usize,
    /// The time of the last of them.
    last_time: Timestamp,
}

impl<S: SqlDatabase + Clone> SqlProjectionScenario<S> {
    /// Sets the time of the following events.
    ///
    /// It must not be before the time of earlier events, or in the future.
    #[must_use = "a scenario without `then` tests nothing"]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.log.set_time(time);
        self
    }

    /// Sets the metadata of the following events.
    #[must_use = "a scenario without `then` tests nothing"]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.log.set_metadata(metadata);
        self
    }

    /// Adds events of `stream`, for example `account-42`.
    ///
    /// Pass a list, or a tuple of lists if the events have several types.
    ///
    /// # Panics
    /// If the id of the stream is not valid, or if an event cannot be serialized.
    #[track_caller]
    #[must_use = "a scenario without `then` tests nothing"]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a scenario reads best with plain values"
    )]
    pub fn given(mut self, stream: &str, events: impl EventLists) -> Self {
        self.log.set_stream(stream);
        events.append_to(&mut self.log);
        self
    }

    /// Projects the events, and compares the rows of the query `sql` with `rows`, in order.
    ///
    /// A row is a value or a tuple of up to eight. The query uses the plain names of tables, without braces. Without rows,
    /// pass `[(); 0]`.
    ///
    /// # Panics
    /// If the store or the query fails, if the projection fails on an event, or if the rows differ.
    #[track_caller]
    pub fn then<R: ExpectedRow>(
        self,
        sql: &'static str,
        rows: impl IntoIterator<Item = R>,
    ) -> impl Future<Output = Self> {
        let caller = Location::caller();
        let expected: Vec<Vec<SqlValue>> = rows.into_iter().map(R::into_values).collect();
        async move {
            match self.check(sql, &expected).await {
                Ok(scenario) => scenario,
                Err(failure) => panic!("{failure}\n  at {caller}"),
            }
        }
    }

    async fn check(
        mut self,
        sql: &'static str,
        expected: &[Vec<SqlValue>],
    ) -> Result<Self, String> {
        self.store_events().await?;
        self.project().await?;
        let rows = self.store.query(sql).fetch_all::<FoundRow>().await;
        let found =
            rows.map_err(|error| format!("query failed: {}; {sql}", error_chain(&error)))?;
        let is_equal = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, row)| found.equals(row));
        match is_equal {
            true => Ok(self),
            false => Err(format!(
                "the rows differ: {sql}\n  expected: {}\n  found:    {}",
                Rows(expected.iter().map(Vec::as_slice)),
                Rows(found.iter().map(|row| &*row.0)),
            )),
        }
    }

    /// Stores the events that are new since the last call.
    async fn store_events(&mut self) -> Result<(), String> {
        for record in &self.log.records()[self.stored..] {
            let time = record.recorded_at;
            if time < self.last_time || time > Timestamp::now() {
                let name = &record.name;
                return Err(format!(
                    "time of {name} is before that of an earlier event, or in the future: {time}; set times in order"
                ));
            }
            self.last_time = time;
            let append = Append::stream(
                record.stream.clone(),
                ExpectedVersion::Any,
                vec![new_event(record)],
            );
            let stored = self.store.import(append, time).await;
            stored.map_err(|error| {
                format!("event {} not stored: {}", record.name, error_chain(&error))
            })?;
            self.stored += 1;
        }
        Ok(())
    }

    /// Projects the stored events.
    async fn project(&self) -> Result<(), String> {
        let runtime = Runtime::builder(&self.engine)
            .projection_with(self.model.clone(), FailurePolicy::Stop)
            .retry(RetryPolicy::NEVER)
            .start()
            .await
            .map_err(|error| error_chain(&error))?;
        let projected = runtime.wait_until_current().await;
        runtime.stop().await;
        projected.map_err(|error| error_chain(&error))
    }
}

/// Returns the event of `record`, without the instruction to encrypt fields.
fn new_event(record: &RecordedEvent) -> NewEvent {
    NewEvent {
        id: record.id,
        name: record.name.clone(),
        schema_version: record.schema_version,
        content_type: record.content_type.clone(),
        data: record.data.clone(),
        tags: record.tags.clone(),
        metadata: record.metadata.clone(),
        personal: Vec::new(),
    }
}

/// An expected row: a single value, or a tuple of up to eight.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be compared with a row",
    label = "not a row",
    note = "use a `bool`, `i32`, `i64`, `f64`, `&str`, `String`, `Vec<u8>`, `Uuid`, an `Option` of one, or a tuple of them"
)]
pub trait ExpectedRow {
    /// Returns the values of the columns.
    fn into_values(self) -> Vec<SqlValue>;
}

/// The row of a list without rows.
impl ExpectedRow for () {
    fn into_values(self) -> Vec<SqlValue> {
        Vec::new()
    }
}

macro_rules! row_of_one {
    ($($type:ty)*) => {$(
        impl ExpectedRow for $type {
            fn into_values(self) -> Vec<SqlValue> {
                vec![self.into_sql_value()]
            }
        }
    )*};
}

row_of_one! { bool i32 i64 u32 f64 &str String &[u8] Vec<u8> Uuid StreamId Position Version Timestamp }

impl<T: IntoSqlValue> ExpectedRow for Option<T> {
    fn into_values(self) -> Vec<SqlValue> {
        vec![self.into_sql_value()]
    }
}

macro_rules! row_of_several {
    ($($type:ident $index:tt),*) => {
        impl<$($type: IntoSqlValue),*> ExpectedRow for ($($type,)*) {
            fn into_values(self) -> Vec<SqlValue> {
                vec![$(self.$index.into_sql_value()),*]
            }
        }
    };
}

row_of_several!(A 0);
row_of_several!(A 0, B 1);
row_of_several!(A 0, B 1, C 2);
row_of_several!(A 0, B 1, C 2, D 3);
row_of_several!(A 0, B 1, C 2, D 3, E 4);
row_of_several!(A 0, B 1, C 2, D 3, E 4, F 5);
row_of_several!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
row_of_several!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// A row of the query.
struct FoundRow(Vec<SqlValue>);

impl FromRow for FoundRow {
    fn from_row(row: &SqlRow) -> Result<Self, SqlError> {
        let columns = (0..).map(|index| row.get::<AnyValue>(index));
        let values = columns.map_while(|value| match value {
            Ok(AnyValue(value)) => Some(Ok(value)),
            Err(SqlError::ColumnNotFound { .. }) => None,
            Err(error) => Some(Err(error)),
        });
        values.collect::<Result<_, _>>().map(Self)
    }
}

impl FoundRow {
    fn equals(&self, expected: &[SqlValue]) -> bool {
        let pairs = || self.0.iter().zip(expected);
        self.0.len() == expected.len() && pairs().all(|(found, expected)| is_equal(found, expected))
    }
}

/// Returns whether `found` is `expected`, which can have another type in the database.
fn is_equal(found: &SqlValue, expected: &SqlValue) -> bool {
    fn is<T: FromSqlValue + PartialEq>(found: &SqlValue, expected: &SqlValue) -> bool {
        let expected = T::from_sql_value(expected);
        expected.is_some() && T::from_sql_value(found) == expected
    }
    match expected {
        SqlValue::Null(_) => matches!(found, SqlValue::Null(_)),
        SqlValue::Bool(_) => is::<bool>(found, expected),
        SqlValue::I32(_) | SqlValue::I64(_) => is::<i64>(found, expected),
        SqlValue::F64(_) => is::<f64>(found, expected),
        SqlValue::Uuid(_) => is::<Uuid>(found, expected),
        _ => found == expected,
    }
}

/// A value of any type.
struct AnyValue(SqlValue);

impl FromSqlValue for AnyValue {
    const NAME: &'static str = "a value";

    fn from_sql_value(value: &SqlValue) -> Option<Self> {
        Some(Self(value.clone()))
    }
}

/// Rows in the syntax of an expectation.
struct Rows<I>(I);

impl<'r, I: Iterator<Item = &'r [SqlValue]> + Clone> fmt::Display for Rows<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.0.clone().map(|row| {
            let values: Vec<String> = row.iter().map(shown).collect();
            match &values[..] {
                [value] => value.clone(),
                values => format!("({})", values.join(", ")),
            }
        });
        write!(f, "[{}]", rows.collect::<Vec<_>>().join(", "))
    }
}

fn shown(value: &SqlValue) -> String {
    match value {
        SqlValue::Null(_) => "None".to_owned(),
        SqlValue::Bool(value) => value.to_string(),
        SqlValue::I32(value) => value.to_string(),
        SqlValue::I64(value) => value.to_string(),
        SqlValue::F64(value) => format!("{value:?}"),
        SqlValue::Text(value) => format!("{value:?}"),
        SqlValue::Uuid(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}
