//! What a [`Worker`] does with an event that cannot be taken: try again, park, skip, stop.

use tracing::warn;

use super::dead_letter::{DeadLetter, DeadLetterState, Letter};
use super::lease::{Checkpoint, Stop};
use super::parked::{Parked, Queue};
use super::worker::{Held, Left, Worker};
use super::{EventError, FailurePolicy, ProjectionState, Step, StepError};
use factum_core::document::encode_document;
use factum_core::position::Position;
use factum_engine::error::error_chain;
use factum_engine::record::RecordedEvent;

/// What is done in one step: the events have their effect, the letters are kept, others are kept no more, and the
/// checkpoint moves.
pub struct Work<'e> {
    pub events: &'e [RecordedEvent],
    pub letters: Vec<DeadLetter>,
    /// The letter in whose place there is one of these now.
    pub replaced: Option<&'e Letter>,
    /// Letters whose events have their effect now.
    pub settled: &'e [Letter],
    pub through: Position,
}

impl<'e> Work<'e> {
    pub fn park(letters: Vec<DeadLetter>, through: Position) -> Self {
        Self {
            letters,
            ..Self::take(&[], through)
        }
    }

    pub fn take(events: &'e [RecordedEvent], through: Position) -> Self {
        Self {
            events,
            letters: Vec::new(),
            replaced: None,
            settled: &[],
            through,
        }
    }
}

impl Worker {
    /// Takes those of `events` whose streams are not parked, parks the others, and moves the checkpoint.
    pub async fn step(
        &self,
        held: &mut Held,
        events: &[RecordedEvent],
        through: Position,
    ) -> Result<(), StepError> {
        if held.parked.len() == 0 {
            return self.commit(held, Work::take(events, through)).await;
        }
        let (mut behind, mut letters, mut now) = (Queue::default(), Vec::new(), Vec::new());
        for event in events {
            let about = self.shared.model.about(event);
            let waits = held.parked.holds(&event.stream, about.as_deref());
            if waits || behind.holds(&event.stream, about.as_deref()) {
                let letter = DeadLetter::new((event, about), DeadLetterState::Blocked);
                behind.join(&letter);
                letters.push(letter);
            } else {
                now.push(event.clone());
            }
        }
        let work = Work {
            letters,
            ..Work::take(&now, through)
        };
        self.commit(held, work).await
    }

    pub async fn commit(&self, held: &mut Held, work: Work<'_>) -> Result<(), StepError> {
        let more = work.letters.iter().filter(|letter| letter.is_waiting());
        let fewer = work.settled.len() + usize::from(work.replaced.is_some());
        let parked = held.parked.len() + more.count() as u64 - fewer as u64;
        // What was parked is older than what had its effect meanwhile.
        let newest = work.events.last().filter(|_| work.settled.is_empty());
        let newest = newest.map(|event| event.recorded_at);
        let next = Checkpoint {
            position: work.through,
            parked,
            newest: newest.or(held.lease.checkpoint().newest),
            stopped: None,
            ..held.lease.checkpoint().clone()
        };
        let mut changes = held.lease.advance(&next)?;
        let letters = self.shared.letters(self.build.number);
        for letter in &work.letters {
            let (key, value) = (letters.key(letter), encode_document(letter)?);
            changes = match work.replaced {
                // Somebody may have discarded it meanwhile.
                Some(before) => changes.put_if(key, before.revision, value),
                None => changes.put(key, value),
            };
        }
        for before in work.settled {
            changes = changes.delete_if(letters.key(&before.letter), before.revision);
        }
        let step = Step {
            build: self.build.number,
            events: work.events,
            obscure: held.parked.obscure(),
            changes,
            documents: &*self.shared.documents,
        };
        let revision = if work.events.is_empty() {
            step.change().await?
        } else {
            self.shared.model.project(step).await?
        };
        held.lease.advanced(next, revision);
        for Letter { letter, .. } in work.settled {
            held.parked.remove(letter.position);
        }
        for letter in work.letters {
            held.parked.insert(letter, revision);
        }
        Ok(())
    }

    /// Notes down for others why it does not go on.
    pub async fn note_stop(&self, held: &mut Held, error: &str) {
        let next = Checkpoint {
            stopped: Some(Stop {
                error: error.to_owned(),
                resumed: self.control.borrow().control.resumed,
            }),
            ..held.lease.checkpoint().clone()
        };
        if let Err(error) = self.note(held, next).await {
            warn!(%error, "others do not know that the projection has stopped");
        }
    }

    pub async fn note(&self, held: &mut Held, next: Checkpoint) -> Result<(), StepError> {
        let changes = held.lease.advance(&next)?;
        let revision = self.shared.documents.change_documents(changes).await?;
        held.lease.advanced(next, revision);
        Ok(())
    }

    /// Tries one event again and again, and in the end does as was chosen for what fails.
    pub async fn take_alone(&self, held: &mut Held, event: &RecordedEvent) -> Result<(), Left> {
        for attempt in 1.. {
            let step = self
                .step(held, std::slice::from_ref(event), event.position)
                .await;
            let failed = match step {
                Err(StepError::Failed(failed)) => failed,
                done => return Ok(done?),
            };
            if failed.is_newer() && self.shared.model.leaves_newer() {
                return Err(Left::Outdated(error_chain(&failed)));
            }
            if attempt < self.shared.retry.attempts && !failed.waits() {
                self.pause(&failed, attempt).await?;
                continue;
            }
            let error = error_chain(&failed);
            let state = match self.shared.failure_policy {
                _ if failed.waits() => DeadLetterState::Blocked,
                FailurePolicy::DeadLetter => DeadLetterState::Failed {
                    error,
                    attempts: attempt,
                },
                FailurePolicy::Skip => DeadLetterState::Skipped { error },
                FailurePolicy::Stop => {
                    held.failures = attempt;
                    return Err(StepError::Failed(failed).into());
                }
            };
            crate::metrics::projection_failed(self.shared.model.name());
            let about = self.shared.model.about(event);
            let letter = DeadLetter::new((event, about), state);
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
        let error = error_chain(error);
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

    /// Learns what is parked.
    pub async fn learn(&self, held: &mut Held) -> Result<(), Left> {
        // What is discarded later may be seen, and is looked for again.
        let discards = self.control.borrow().control.discards;
        let letters = self.shared.letters(self.build.number).waiting().await?;
        held.parked = Parked::new(letters, |stream| self.is_mine(stream));
        held.learned = (discards, true);
        held.retry = None;
        Ok(())
    }
}
