//! The board in the office: a table of all orders and their states.

use async_trait::async_trait;
use factum::prelude::*;
use factum_sqlite::{BoxError, SqliteProject, SqliteProjection, SqliteStore, Tables};

use super::order::OrderEvent;

#[derive(Projection)]
#[projection(name = "board", version = 1, events = OrderEvent)]
pub(crate) struct Board;

#[async_trait]
impl SqliteProjection for Board {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        let sql = "create table if not exists {board} (
                       number integer primary key,
                       customer text not null,
                       content text not null,
                       state text not null)";
        sqlx::query(db.sql(sql)).execute(&mut **db).await.map(drop)
    }
}

#[async_trait]
impl SqliteProject<OrderEvent> for Board {
    async fn project(
        &self,
        event: &Recorded<OrderEvent>,
        db: &mut Tables<'_>,
    ) -> Result<(), BoxError> {
        let (order, state) = match &event.event {
            OrderEvent::Placed {
                order,
                customer,
                article,
                quantity,
                cents,
                ..
            } => {
                let sql = "insert into {board} (number, customer, content, state) values (?, ?, ?, 'open')";
                let (euros, cents) = (cents / 100, cents % 100);
                sqlx::query(db.sql(sql))
                    .bind(order)
                    .bind(customer)
                    .bind(format!("{quantity} × {article}, {euros}.{cents:02} €"))
                    .execute(&mut **db)
                    .await?;
                return Ok(());
            }
            OrderEvent::Shipped { order, parcel } => (order, format!("shipped as {parcel}")),
            OrderEvent::Cancelled { order, reason } => (order, format!("cancelled: {reason}")),
        };
        let sql = db.sql("update {board} set state = ? where number = ?");
        sqlx::query(sql)
            .bind(state)
            .bind(order)
            .execute(&mut **db)
            .await?;
        Ok(())
    }
}

/// Returns the lines of the board.
pub(crate) async fn lines(store: &SqliteStore) -> Result<Vec<String>, sqlx::Error> {
    let sql = "select number, customer, content, state from board order by number";
    let rows: Vec<(u32, String, String, String)> =
        sqlx::query_as(sql).fetch_all(store.pool()).await?;
    let lines = rows.into_iter();
    Ok(lines
        .map(|(number, customer, content, state)| {
            format!("  {number}  {customer:<6} {content:<28} {state}")
        })
        .collect())
}
