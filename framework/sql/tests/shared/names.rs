//! Names of tables: every valid name works, whatever it means in SQL, and other names are explained.
//!
//! The crate that includes it has a module `adapter` with `Options`, `Store`, and `fresh`, which returns the options of an
//! empty database, or `None` without a server.

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{ControlError, WaitError};
use factum_sql::{BoxError, Sql, SqlError, SqlProject, SqlProjection};

use crate::adapter::{Store, fresh};

/// Words that at least one of the databases reserves, and the longest valid name.
const NAMES: &str = "add all alter always analyse analyze and any array as asc asymmetric authorization autoincrement \
    between binary both cascade case cast check collate collation column commit concurrently conflict constraint create \
    cross current current_catalog current_date current_role current_schema current_time current_timestamp current_user \
    database default deferrable deferred delete desc detach distinct do drop each else end escape except exclude exists \
    explain fail fetch filter first following for foreign freeze from full generated glob grant group groups having if \
    ignore ilike immediate in index initially inner insert instead intersect into is isnull join key last lateral leading \
    left like limit localtime localtimestamp match materialized natural no not nothing notnull null nulls of offset on \
    only or order others outer over overlaps partition placing plan pragma preceding primary query raise range recursive \
    references regexp reindex release rename replace restrict returning right rollback row rows savepoint select \
    session_user set similar some symmetric table tablesample temp temporary then ties to trailing transaction trigger \
    true unbounded union unique update user using vacuum values variadic verbose view virtual when where window with \
    without _1 _ a name_with_50_byte_0123456789_0123456789_0123456789";

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "word")]
enum WordEvent {
    Used,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "word", id = u64, event = WordEvent)]
struct Word;

impl Apply<WordEvent> for Word {
    fn apply(&mut self, _: &WordEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Word)]
struct Use {
    #[id]
    word: u64,
}

impl Decide for Use {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Word) -> Result<Events<WordEvent>, Self::Error> {
        Ok(WordEvent::Used.into())
    }
}

/// A projection with a table and an index for each of the names.
#[derive(Projection)]
#[projection(name = "words", version = 1, events = WordEvent)]
struct Words;

/// Needs another build, and only every second of the tables.
#[derive(Projection)]
#[projection(name = "words", version = 2, events = WordEvent)]
struct FewerWords;

fn names(step: usize) -> impl Iterator<Item = &'static str> {
    NAMES.split_whitespace().step_by(step)
}

/// Returns a statement for a table, for the life of the test.
fn statement(template: &str, name: &str) -> &'static str {
    template.replace("NAME", name).leak()
}

async fn create(step: usize, db: &mut Sql<'_>) -> Result<(), SqlError> {
    for name in names(step) {
        let table =
            "create table if not exists {NAME} (position bigint primary key, version bigint)";
        db.execute(statement(table, name)).await?;
        if name.len() < 40 {
            let index = "create index if not exists {NAME_by_v} on {NAME} (version)";
            db.execute(statement(index, name)).await?;
        }
    }
    Ok(())
}

async fn project(
    event: &Recorded<WordEvent>,
    (step, version): (usize, i64),
    db: &mut Sql<'_>,
) -> Result<(), BoxError> {
    for name in names(step) {
        let insert = db.query(statement("insert into {NAME} values ($1, $2)", name));
        insert
            .bind(event.record.position)
            .bind(version)
            .execute()
            .await?;
    }
    Ok(())
}

impl SqlProjection for Words {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        create(1, db).await
    }
}

impl SqlProject<WordEvent> for Words {
    async fn project(&self, event: &Recorded<WordEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        project(event, (1, 1), db).await
    }
}

impl SqlProjection for FewerWords {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        create(2, db).await
    }
}

impl SqlProject<WordEvent> for FewerWords {
    async fn project(&self, event: &Recorded<WordEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        project(event, (2, 2), db).await
    }
}

async fn versions(store: &Store, name: &str) -> Result<Vec<i64>, SqlError> {
    let quoted = statement("select version from \"NAME\"", name);
    store.query(quoted).fetch_all().await
}

#[tokio::test]
async fn keywords_are_valid_table_names() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let engine = Engine::new(store.clone());
    let used = engine.execute(Use { word: 1 }).await.unwrap();
    let words = store.read_model(Words);
    let runtime = Runtime::builder(&engine).projection(words.clone());
    let runtime = runtime.start().await.unwrap();
    runtime.wait_for(used.position()).await.unwrap();
    for name in names(1) {
        assert_eq!(versions(&store, name).await.unwrap(), [1], "{name}");
        let mut view = words.view().await.unwrap().unwrap();
        let braces = view.query(statement("select version from {NAME}", name));
        assert_eq!(braces.fetch_all::<i64>().await.unwrap(), [1], "{name}");
    }
    runtime.stop().await;
    // The next version replaces the views, and drops those that it does not need.
    let runtime = Runtime::builder(&engine).projection(store.read_model(FewerWords));
    let runtime = runtime.start().await.unwrap();
    runtime.wait_until_current().await.unwrap();
    for (number, name) in names(1).enumerate() {
        match versions(&store, name).await {
            Ok(versions) => assert_eq!((number % 2, &versions[..]), (0, &[2][..]), "{name}"),
            Err(error) => assert_eq!(number % 2, 1, "{name}: {error:?}"),
        }
    }
    runtime.stop().await;
}

/// Creates a table whose name is not valid.
#[derive(Projection)]
#[projection(name = "capitals", events = WordEvent)]
struct Capitals;

impl SqlProjection for Capitals {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {Owner} (id text default '{}')")
            .await
    }
}

impl SqlProject<WordEvent> for Capitals {
    async fn project(&self, _: &Recorded<WordEvent>, _: &mut Sql<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test]
async fn name_with_other_characters_is_explained() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let engine = Engine::new(store.clone());
    let runtime = Runtime::builder(&engine)
        .retry(RetryPolicy {
            attempts: 1,
            ..RetryPolicy::default()
        })
        .projection(store.read_model(Capitals));
    let runtime = runtime.start().await.unwrap();
    let Err(ControlError::Wait(WaitError::Stopped { error, .. })) =
        runtime.wait_until_current().await
    else {
        panic!("a projection without tables must stop");
    };
    let expected = "`{Owner}` is not a table name; use 1 to 50 of a-z, 0-9 and _";
    assert!(error.contains(expected), "{error}");
    let query = store.query("select * from {owner} where id <> '{}'");
    let error = query.fetch_all::<i64>().await.unwrap_err().to_string();
    let expected = "`{owner}` is replaced only in projections and views";
    assert!(error.contains(expected), "{error}");
    runtime.stop().await;
}
