//! A REST API with idempotency keys, optimistic concurrency by ETag, and problem details.
//!
//! ```sh
//! cargo run --example http -- bank.db &
//! curl -i -X PUT localhost:8080/accounts/1 -H 'content-type: application/json' -d '{"customer": "ada"}'
//! curl -i localhost:8080/accounts/1/deposits -H 'content-type: application/json' \
//!     -H 'idempotency-key: d-1' -H 'if-match: "1"' -d '{"amount": 30}'
//! ```

mod api;
mod problem;

use factum::prelude::*;
use factum_examples::outln;
use factum_sqlite::SqliteStore;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).unwrap_or("bank.db".to_owned());
    let store = SqliteStore::open(file).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    outln!("http://{}", listener.local_addr()?);
    axum::serve(listener, api::router(Engine::new(store))).await?;
    Ok(())
}
