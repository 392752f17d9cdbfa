//! What a [`Worker`] does with an event that cannot be taken: try again, park, skip, stop.

use tracing::warn;

use super::dead_letter::{self, DeadLetter, DeadLetterState};
use super::worker::{Held, Left, Worker};
use super::{EventError, OnFailure, ProjectionState, Step, StepError, chain};
use crate::place::Position;
use crate::query::Query;
use crate::read::Read;
use crate::record::RecordedEvent;

/// What is done in one step: the events have their effect, the letters are kept, one is kept no more, and the checkpoint
/// moves.
struct Work<'e> {
    events: &'e [RecordedEvent],
    letters: Vec<DeadLetter>,
    settled: Option<Position>,
    through: Position,
}

impl Work<'_> {
    fn park(letters: Vec<DeadLetter>, through: Position) -> Self {
        Self {
            events: &[],
            letters,
            settled: None,
            through,
        }
    }
}

impl Worker {
    /// Takes those of `events` whose streams are not parked, parks the others, and moves the checkpoint.
    pub(super) async fn step(
        &self,
        held: &mut Held,
        events: &[RecordedEvent],
        through: Position,
    ) -> Result<(), StepError> {
        let mut work = Work::park(Vec::new(), through);
        if held.parked.len() == 0 {
            work.events = events;
            return self.commit(held, work).await;
        }
        let (behind, now): (Vec<_>, Vec<_>) = events
            .iter()
            .cloned()
            .partition(|event| held.parked.holds(&event.stream));
        let behind = behind.iter();
        let letters = behind.map(|event| DeadLetter::new(event, DeadLetterState::Behind));
        work.letters = letters.collect();
        work.events = &now;
        self.commit(held, work).await
    }

    async fn commit(&self, held: &mut Held, work: Work<'_>) -> Result<(), StepError> {
        let mut changes = held.lease.advance(work.through)?;
        for letter in &work.letters {
            changes = changes.put(self.letter(letter.position), super::json(letter)?);
        }
        if let Some(position) = work.settled {
            changes = changes.delete(self.letter(position));
        }
        let step = Step {
            build: self.build.number,
            events: work.events,
            changes,
            documents: &*self.shared.documents,
        };
        let revision = if work.events.is_empty() {
            step.change().await?
        } else {
            self.shared.model.project(step).await?
        };
        held.lease.advanced(work.through, revision);
        for letter in work.letters.into_iter().filter(DeadLetter::is_waiting) {
            held.parked.insert(letter);
        }
        Ok(())
    }

    /// Tries one event again and again, and in the end does as was chosen for what fails.
    pub(super) async fn take_alone(
        &self,
        held: &mut Held,
        event: &RecordedEvent,
    ) -> Result<(), Left> {
        for attempt in 1.. {
            let step = self
                .step(held, std::slice::from_ref(event), event.position)
                .await;
            let failed = match step {
                Err(StepError::Failed(failed)) => failed,
                done => return Ok(done?),
            };
            if attempt < self.shared.retry.attempts {
                self.pause(&failed, attempt).await?;
                continue;
            }
            let error = chain(&failed);
            let state = match self.shared.on_failure {
                OnFailure::Park => DeadLetterState::Failed {
                    error,
                    attempts: attempt,
                },
                OnFailure::Skip => DeadLetterState::Skipped { error },
                OnFailure::Stop => {
                    held.failures = attempt;
                    return Err(StepError::Failed(failed).into());
                }
            };
            crate::metrics::projection_failed(self.shared.model.name());
            let letter = DeadLetter::new(event, state);
            warn!(position = event.position.get(), stream = %event.stream, state = ?letter.state, "an event is not projected");
            return Ok(self
                .commit(held, Work::park(vec![letter], event.position))
                .await?);
        }
        Ok(())
    }

    async fn pause(&self, error: &EventError, attempt: u32) -> Result<(), Left> {
        crate::metrics::projection_failed(self.shared.model.name());
        let pause = self.shared.retry.pause(attempt);
        let error = chain(error);
        warn!(
            error,
            attempt,
            ?pause,
            "an event could not be projected, trying again"
        );
        self.tell(|part| {
            part.state = ProjectionState::Retrying;
            part.last_error = Some(error);
        });
        let mut control = self.control.clone();
        tokio::select! {
            _ = control.changed() => Err(Left::Again),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    fn letter(&self, position: Position) -> String {
        dead_letter::key(self.shared.model.name(), self.build.number, position)
    }

    /// Tries what is parked again, each stream in order, as far as it goes.
    pub(super) async fn retry_parked(&self, held: &mut Held) -> Result<(), Left> {
        let here = held.lease.position();
        for first in held.parked.firsts() {
            while let Some(letter) = held.parked.first(&first.stream).cloned() {
                let before = letter.position.get().saturating_sub(1);
                let read = Read::all(Query::all()).after(before).limit(1);
                let page = self.shared.store.read(read).await?;
                let work = Work {
                    events: &page.events,
                    settled: Some(letter.position),
                    ..Work::park(Vec::new(), here)
                };
                match self.commit(held, work).await {
                    Ok(()) => held.parked.remove(&letter.stream, letter.position),
                    Err(StepError::Failed(failed)) => {
                        self.leave_parked(held, letter, chain(&failed)).await?;
                        break;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        self.tell(|part| part.parked = held.parked.len());
        Ok(())
    }

    async fn leave_parked(
        &self,
        held: &mut Held,
        mut letter: DeadLetter,
        error: String,
    ) -> Result<(), Left> {
        crate::metrics::projection_failed(self.shared.model.name());
        let before = match letter.state {
            DeadLetterState::Failed { attempts, .. } => attempts,
            _ => 0,
        };
        letter.state = DeadLetterState::Failed {
            error,
            attempts: before.saturating_add(1),
        };
        let here = held.lease.position();
        Ok(self.commit(held, Work::park(vec![letter], here)).await?)
    }
}
