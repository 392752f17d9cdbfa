//! How a [`Worker`] takes a page: in steps, none of which takes long, and around what cannot be taken.

use std::borrow::Cow;
use std::time::Instant;

use tracing::Instrument as _;

use super::StepError;
use super::worker::{Held, Left, Worker};
use factum_core::position::Position;
use factum_core::read::Page;
use factum_engine::record::RecordedEvent;

impl Worker {
    /// Takes the events of `page`; what fails is parked, or skipped, or ends the run, as was chosen.
    pub async fn take(&mut self, held: &mut Held, page: &Page) -> Result<(), Left> {
        let mine = if self.build.partitions == 1 {
            Cow::Borrowed(&page.events)
        } else {
            let mine = page
                .events
                .iter()
                .filter(|event| self.is_mine(&event.stream));
            Cow::Owned(mine.cloned().collect())
        };
        let span = tracing::debug_span!("project", events = mine.len());
        let work = async {
            let mut rest = &mine[..];
            loop {
                let (taken, fails) = self.take_some(held, rest, page.through()).await?;
                rest = &rest[taken..];
                if fails {
                    self.take_alone(held, &rest[0]).await?;
                    rest = &rest[1..];
                } else if rest.is_empty() {
                    return Ok(());
                }
            }
        };
        work.instrument(span).await
    }

    /// Takes what fits into a step. Gives back how many events that were, and whether the one behind them cannot be taken.
    async fn take_some(
        &mut self,
        held: &mut Held,
        events: &[RecordedEvent],
        through: Position,
    ) -> Result<(usize, bool), StepError> {
        let (mut together, mut fails) = (self.pace.first_of(events), false);
        while together > 0 || !fails {
            let (now, later) = events.split_at(together);
            let through = match now.last() {
                Some(last) if !later.is_empty() => last.position,
                _ => through,
            };
            let began = Instant::now();
            match self.step(held, now, through).await {
                // Perhaps an earlier one than before: only the commit tells of an error that was ignored.
                Err(StepError::Failed(failed)) => {
                    let at = now
                        .iter()
                        .position(|event| event.position == failed.position);
                    together = at.ok_or(StepError::Failed(failed))?;
                    fails = true;
                }
                done => {
                    done?;
                    self.pace.took(together, began.elapsed());
                    break;
                }
            }
        }
        Ok((together, fails))
    }
}
