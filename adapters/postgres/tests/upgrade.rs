//! Databases of older versions are upgraded when they are opened.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../framework/sql/tests/shared/schema_upgrade.rs"]
mod schema_upgrade;
#[path = "support/server.rs"]
#[allow(dead_code, reason = "the schema is created by hand")]
mod server;

use factum_postgres::PostgresOptions;
use factum_postgres::sqlx::{AssertSqlSafe, ConnectOptions as _, raw_sql};

#[tokio::test]
async fn database_of_schema_1_is_upgraded_without_loss() {
    let Some((server, _)) = server::fresh_with_address() else {
        return;
    };
    let schema = format!("upgrade_{}", std::process::id());
    let sql = include_str!("support/schema_1.sql").replace("{schema}", &schema);
    let mut connection = server.connect().await.unwrap();
    raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    let options = PostgresOptions::new(server).schema(schema);
    let store = options.open().await.unwrap();
    schema_upgrade::check_schema_1(&store).await;
    store.close().await;
}
