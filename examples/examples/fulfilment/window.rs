//! A live query of the order counts, which continues after a restart at the last position that it showed.

use std::path::PathBuf;
use std::{fs, io};

use factum::Position;
use factum::prelude::*;
use factum::runtime::WaitError;
use factum_examples::outln;
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

/// Prints the current result and each change of it, and reports the position through `shown`.
///
/// The position is also stored in the file `seen`. After a restart, results up to this position are not printed again.
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
    while let Some(next) = results.next().await {
        let (now, position) = match next {
            Ok(next) => next,
            // The program stops.
            Err(WaitError::ShutDown { .. }) => break,
            Err(error) => return Err(error.into()),
        };
        let Window {
            open,
            shipped,
            cancelled,
        } = now;
        outln!("  ▸ {open} open, {shipped} shipped, {cancelled} cancelled, as of event {position}");
        // A rename is atomic: if the program is killed, the file has either the old or the new position.
        let new = seen.with_extension("seen-new");
        fs::write(&new, position.to_string())?;
        fs::rename(&new, &seen)?;
        shown.send_replace(position);
    }
    Ok(())
}
