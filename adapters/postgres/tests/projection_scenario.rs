//! Scenarios of projections in tables, on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

mod adapter {
    pub use factum_postgres::PostgresStore as Store;

    /// Opens an empty store; `None` if there is no server.
    pub async fn fresh() -> Option<Store> {
        let options = crate::server::fresh()?;
        Some(options.open().await.unwrap())
    }
}

#[path = "../../../framework/sql/tests/shared/scenario.rs"]
mod shared;

/// A row, read with the derive of the driver.
#[derive(sqlx::FromRow, Debug, PartialEq)]
struct Reading {
    meter: String,
    #[sqlx(rename = "value")]
    cubic_metres: f64,
}

#[tokio::test]
async fn pool_reads_rows_with_the_derive_of_sqlx() {
    let Some(store) = adapter::fresh().await else {
        return;
    };
    factum_testkit::sql_projection(store.clone(), shared::Meters)
        .given("meter-a", [shared::read(1.5)])
        .then(shared::VALUES, [("a", 1.5)])
        .await;
    let rows: Vec<Reading> = sqlx::query_as(shared::VALUES)
        .fetch_all(store.pool())
        .await
        .unwrap();
    let reading = Reading {
        meter: "a".to_owned(),
        cubic_metres: 1.5,
    };
    assert_eq!(rows, [reading]);
    store.close().await;
}
