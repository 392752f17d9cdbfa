//! Statements whose result gets other columns while the store is open.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
#[allow(dead_code, reason = "no test needs the address")]
mod server;

use factum::store::Outage;
use factum_postgres::{FromRow, SqlError, SqlRow};

struct Id(i32);

impl FromRow for Id {
    fn from_row(row: &SqlRow) -> Result<Self, SqlError> {
        row.get("id").map(Self)
    }
}

#[tokio::test]
async fn query_works_again_after_its_columns_have_changed() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.readers(1).open().await.unwrap();
    let script = |sql: &'static str| sqlx::raw_sql(sql).execute(store.pool());
    script("create table notes (id int); insert into notes values (7)")
        .await
        .unwrap();
    let find = || store.query("select * from notes").fetch_all::<Id>();
    for _ in 0..2 {
        assert_eq!(find().await.unwrap()[0].0, 7);
    }
    script("alter table notes add column text text")
        .await
        .unwrap();
    // The server rejects the old plan once: an outage, which a retry ends.
    if let Err(error) = find().await {
        assert!(Outage::is_in(&error), "{error:?}");
    }
    for _ in 0..2 {
        assert_eq!(find().await.unwrap()[0].0, 7);
    }
    store.close().await;
}
