//! The board in the office: a table of all orders and their states.

use factum::prelude::*;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};

use super::order::OrderEvent;

#[derive(Projection)]
#[projection(name = "board", version = 1, events = OrderEvent)]
pub(crate) struct Board;

impl SqlProjection for Board {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(
            "create table if not exists {board} (
                 number bigint primary key,
                 customer text not null,
                 content text not null,
                 state text not null)",
        )
        .await
    }
}

impl SqlProject<OrderEvent> for Board {
    async fn project(
        &self,
        event: &Recorded<OrderEvent>,
        db: &mut Sql<'_>,
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
                let insert = "insert into {board} (number, customer, content, state)
                              values ($1, $2, $3, 'open')";
                let (euros, cents) = (cents / 100, cents % 100);
                db.query(insert)
                    .bind(order)
                    .bind(customer)
                    .bind(format!("{quantity} × {article}, {euros}.{cents:02} €"))
                    .execute()
                    .await?;
                return Ok(());
            }
            OrderEvent::Shipped { order, parcel } => (order, format!("shipped as {parcel}")),
            OrderEvent::Cancelled { order, reason } => (order, format!("cancelled: {reason}")),
        };
        let update = db.query("update {board} set state = $1 where number = $2");
        update.bind(state).bind(order).execute().await?;
        Ok(())
    }
}

/// Returns the lines of the board.
pub(crate) async fn lines(store: &SqliteStore) -> Result<Vec<String>, SqlError> {
    let sql = "select number, customer, content, state from board order by number";
    let rows: Vec<(i64, String, String, String)> = store.query(sql).fetch_all().await?;
    let lines = rows.into_iter();
    Ok(lines
        .map(|(number, customer, content, state)| {
            format!("  {number}  {customer:<6} {content:<28} {state}")
        })
        .collect())
}
