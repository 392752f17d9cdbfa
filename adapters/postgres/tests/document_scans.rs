//! Tests of document scans: both bounds are conditions of the index.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use factum::store::{DocumentChanges, DocumentStore as _, Scan};
use factum_postgres::PostgresStore;

async fn keys(store: &PostgresStore, scan: Scan) -> Vec<String> {
    let found = store.scan_documents(scan).await.unwrap();
    found.into_iter().map(|document| document.key).collect()
}

#[tokio::test]
async fn document_scan_uses_the_index_in_a_generic_plan() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let longest = "\u{10FFFF}".repeat(256);
    let changes = ["a/1", "a/2", "b/1", &longest]
        .into_iter()
        .fold(DocumentChanges::new(), |changes, key| changes.put(key, "1"));
    store.change_documents(changes).await.unwrap();
    assert_eq!(keys(&store, Scan::prefix("a/")).await, ["a/1", "a/2"]);
    assert_eq!(keys(&store, Scan::prefix("a/").after("a/1")).await, ["a/2"]);
    let all = Scan::prefix("").after("a/2");
    assert_eq!(keys(&store, all).await, ["b/1", longest.as_str()]);

    let sql = include_str!("../src/sql/scan_documents.sql");
    let mut transaction = store.pool().begin().await.unwrap();
    let prepare = format!(
        "set local plan_cache_mode = force_generic_plan; set local enable_seqscan = off; \
         prepare scan (text, text, text, bigint, bigint) as {sql}"
    );
    let prepare = sqlx::raw_sql(sqlx::AssertSqlSafe(prepare));
    prepare.execute(&mut *transaction).await.unwrap();
    let explain = "explain (costs off) execute scan ('a/', 'a0', '', 1, 16)";
    let plan: Vec<(String,)> = sqlx::query_as(explain)
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
    let plan: Vec<_> = plan.into_iter().map(|(line,)| line).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Cond"), "{plan}");
    assert!(plan.contains("(key < COALESCE($2"), "{plan}");
    let mut filters = plan.lines().filter(|line| line.contains("Filter"));
    assert!(filters.all(|line| line.contains("bytes_before")), "{plan}");
}
