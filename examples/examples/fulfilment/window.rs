//! How the day goes, for whoever looks through the window: a live query, which goes on after a restart where it was left.

use std::path::PathBuf;
use std::{fs, io};

use factum::Position;
use factum::prelude::*;
use factum_examples::say;
use futures_util::StreamExt as _;
use futures_util::future::Either;
use tokio::sync::watch;

use super::order::OrderEvent;

#[derive(Projection, Debug, Default, Clone, Copy, PartialEq)]
#[projection(name = "window", events = OrderEvent)]
pub(crate) struct Window {
    open: u32,
    shipped: u32,
    cancelled: u32,
}

impl Project<OrderEvent> for Window {
    fn project(&mut self, event: &Recorded<OrderEvent>) {
        match &event.event {
            OrderEvent::Placed { .. } => {
                self.open += 1;
                return;
            }
            OrderEvent::Shipped { .. } => self.shipped += 1,
            OrderEvent::Cancelled { .. } => self.cancelled += 1,
        }
        self.open -= 1;
    }
}

/// Tells the result as it is now, and then whenever it is another; and through `shown`, up to where. The same position
/// is kept in the file `seen`, and what stands ahead of it is not told again.
pub(crate) async fn show(
    window: InMemory<Window>,
    seen: PathBuf,
    shown: watch::Sender<Position>,
) -> anyhow::Result<()> {
    let results = match fs::read_to_string(&seen) {
        Ok(position) => {
            let position = Position::new(position.parse()?);
            shown.send_replace(position);
            Either::Left(window.live_after(position, |window| *window))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Either::Right(window.live(|window| *window))
        }
        Err(error) => return Err(error.into()),
    };
    let mut results = std::pin::pin!(results);
    while let Some((now, position)) = results.next().await {
        let Window {
            open,
            shipped,
            cancelled,
        } = now;
        say!("  ▸ {open} open, {shipped} shipped, {cancelled} cancelled, as of event {position}");
        // As a whole or not at all, whenever it is killed.
        let new = seen.with_extension("seen-new");
        fs::write(&new, position.to_string())?;
        fs::rename(&new, &seen)?;
        shown.send_replace(position);
    }
    Ok(())
}
