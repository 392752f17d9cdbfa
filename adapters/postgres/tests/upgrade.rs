//! Databases of older versions are upgraded when they are opened.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../framework/sql/tests/shared/schema_upgrade.rs"]
mod schema_upgrade;
#[path = "support/server.rs"]
#[allow(dead_code, reason = "the schema is created by hand")]
mod server;

use factum_postgres::sqlx::{AssertSqlSafe, ConnectOptions as _, raw_sql};
use factum_postgres::{PostgresOptions, PostgresStore};

const SCHEMA_1: &str = include_str!("support/schema_1.sql");
const SCHEMA_2: &str = include_str!("support/schema_2.sql");

/// Opens a database of an older schema with further rows; `None` without a server.
async fn open(name: &str, schema_sql: &str, further: &str) -> Option<PostgresStore> {
    let (server, _) = server::fresh_with_address()?;
    let schema = format!("{name}_{}", std::process::id());
    let sql = [schema_sql, further].concat();
    let sql = sql.replace("{schema}", &schema);
    let mut connection = server.connect().await.unwrap();
    raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    let options = PostgresOptions::new(server).schema(schema);
    Some(options.open().await.unwrap())
}

#[tokio::test]
async fn database_of_schema_1_is_upgraded_without_loss() {
    if let Some(store) = open("upgrade", SCHEMA_1, "").await {
        schema_upgrade::check_older_schema(&store).await;
    }
}

#[tokio::test]
async fn database_of_schema_2_is_upgraded_without_loss() {
    if let Some(store) = open("upgrade_2", SCHEMA_2, "").await {
        schema_upgrade::check_older_schema(&store).await;
    }
}

#[tokio::test]
async fn event_ids_that_repeat_in_schema_1_are_kept() {
    let repeat = "insert into {schema}.event
        select 6, stream, 4, id, name, schema_version, content_type, data, bytes, metadata, tags, recorded_at
        from {schema}.event where position = 5;
        update {schema}.head set position = 6;";
    if let Some(store) = open("repeat", SCHEMA_1, repeat).await {
        schema_upgrade::check_repeated_ids(&store).await;
    }
}
