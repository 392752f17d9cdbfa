//! What a [`Worker`] does with an event that cannot be taken: try again, park, skip, stop.

use std::collections::HashSet;

use tracing::warn;

use super::control::Control;
use super::dead_letter::{self, DeadLetter, DeadLetterState, Letter};
use super::lease::{Checkpoint, Stop};
use super::parked::{Parked, Queue};
use super::worker::{Held, Left, Worker};
use super::{EventError, OnFailure, ProjectionState, Step, StepError, chain};
use crate::error::StoreError;
use crate::place::Position;
use crate::record::RecordedEvent;
use crate::stream::StreamId;

/// What is done in one step: the events have their effect, the letters are kept, one is kept no more, and the checkpoint
/// moves.
struct Work<'e> {
    events: &'e [RecordedEvent],
    letters: Vec<DeadLetter>,
    /// A letter as it was before, which is replaced, or settled.
    before: Option<&'e Letter>,
    through: Position,
}

impl Work<'_> {
    fn park(letters: Vec<DeadLetter>, through: Position) -> Self {
        Self {
            events: &[],
            letters,
            before: None,
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
        let (mut queue, mut now) = (held.parked.queue(), Vec::new());
        for event in events {
            let about = self.shared.model.about(event);
            if queue.holds(&event.stream, about.as_deref()) {
                let letter = DeadLetter::new((event, about), DeadLetterState::Behind);
                queue.join(&letter);
                work.letters.push(letter);
            } else {
                now.push(event.clone());
            }
        }
        work.events = &now;
        self.commit(held, work).await
    }

    async fn commit(&self, held: &mut Held, work: Work<'_>) -> Result<(), StepError> {
        let before = work.before.map(|before| before.letter.position);
        let more = work.letters.iter().filter(|letter| letter.is_waiting());
        let parked = held.parked.len() + more.count() as u64 - u64::from(before.is_some());
        let next = Checkpoint {
            position: work.through,
            parked,
            stopped: None,
            ..held.lease.checkpoint().clone()
        };
        let mut changes = held.lease.advance(&next)?;
        let letters = self.shared.letters(self.build.number);
        for letter in &work.letters {
            let (key, value) = (letters.key(letter), super::json(letter)?);
            changes = match work.before {
                // Somebody may have discarded it meanwhile.
                Some(before) => changes.put_if(key, before.revision, value),
                None => changes.put(key, value),
            };
        }
        if let (Some(before), true) = (work.before, work.letters.is_empty()) {
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
        if let Some(Letter { letter, .. }) = work.before {
            held.parked.remove(&letter.stream, letter.position);
        }
        for letter in work.letters {
            held.parked.insert(letter, revision);
        }
        Ok(())
    }

    /// Notes down for others why it does not go on.
    pub(super) async fn note_stop(&self, held: &mut Held, error: &str) {
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

    pub(super) async fn note(&self, held: &mut Held, next: Checkpoint) -> Result<(), StepError> {
        let changes = held.lease.advance(&next)?;
        let revision = self.shared.documents.change_documents(changes).await?;
        held.lease.advanced(next, revision);
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
            if failed.is_newer() && self.shared.model.leaves_newer() {
                return Err(Left::Outdated(chain(&failed)));
            }
            if attempt < self.shared.retry.attempts && !failed.waits() {
                self.pause(&failed, attempt).await?;
                continue;
            }
            let error = chain(&failed);
            let state = match self.shared.on_failure {
                _ if failed.waits() => DeadLetterState::Behind,
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

    /// Learns what is parked.
    pub(super) async fn learn(&self, held: &mut Held) -> Result<(), Left> {
        // What is discarded later may be seen, and is looked for again.
        let discards = self.control.borrow().control.discards;
        let letters = self.shared.letters(self.build.number).waiting().await?;
        held.parked = Parked::new(letters, |stream| self.is_mine(stream));
        held.learned = (discards, true);
        Ok(())
    }

    /// Tries again what is parked, where that was ordered, and where a stream waits for nothing any more.
    pub(super) async fn obey_for_parked(
        &self,
        held: &mut Held,
        control: &Control,
    ) -> Result<(), Left> {
        let all = control.retries > held.lease.checkpoint().retries;
        if all || control.discards > held.learned.0 {
            self.learn(held).await?;
        }
        if !all && !held.learned.1 {
            return Ok(());
        }
        let streams = match all {
            true => held.parked.streams(),
            false => held.parked.freed(),
        };
        self.retry_parked(held, streams).await?;
        let known = held.lease.checkpoint();
        let obeyed = Checkpoint {
            retries: control.retries,
            parked: held.parked.len(),
            ..known.clone()
        };
        if obeyed != *known {
            self.note(held, obeyed).await?;
        }
        held.learned.1 = false;
        self.tell(|part| part.parked = held.parked.len());
        Ok(())
    }

    /// Tries these streams again, in the order of the store: each, and all that is about the same, as far as it goes.
    async fn retry_parked(&self, held: &mut Held, streams: Vec<StreamId>) -> Result<(), Left> {
        let streams: HashSet<StreamId> = streams.into_iter().collect();
        let mut queue = Queue::default();
        for before in held.parked.in_order() {
            let letter = &before.letter;
            if !streams.contains(&letter.stream) || queue.holds(&letter.stream, letter.about()) {
                queue.join(letter);
                continue;
            }
            match self.control.has_changed() {
                Ok(false) if self.shared.instances.gives(&self.key) => return Err(Left::Give),
                Ok(false) => {}
                Ok(true) => return Err(Left::Again),
                Err(_) => return Err(Left::End),
            }
            if !self.retry_one(held, &before).await? {
                queue.join(letter);
            }
        }
        Ok(())
    }

    /// Whether it works now.
    async fn retry_one(&self, held: &mut Held, before: &Letter) -> Result<bool, Left> {
        let position = before.letter.position;
        let Some(event) = dead_letter::event_at(&*self.shared.store, position).await? else {
            let missing = format!("the parked event at position {position} is not in the store");
            return Err(StoreError::Corrupt(missing).into());
        };
        let here = held.lease.position();
        let work = Work {
            events: std::slice::from_ref(&event),
            before: Some(before),
            ..Work::park(Vec::new(), here)
        };
        let failed = match self.commit(held, work).await {
            Ok(()) => return Ok(true),
            Err(StepError::Failed(failed)) if failed.waits() => return Ok(false),
            Err(StepError::Failed(failed)) => failed,
            Err(error) => return Err(error.into()),
        };
        crate::metrics::projection_failed(self.shared.model.name());
        let attempts = match before.letter.state {
            DeadLetterState::Failed { attempts, .. } => attempts,
            _ => 0,
        };
        let state = DeadLetterState::Failed {
            error: chain(&failed),
            attempts: attempts.saturating_add(1),
        };
        let about = self.shared.model.about(&event);
        let letter = DeadLetter {
            parked_at: before.letter.parked_at,
            ..DeadLetter::new((&event, about), state)
        };
        let work = Work {
            before: Some(before),
            ..Work::park(vec![letter], here)
        };
        self.commit(held, work).await?;
        Ok(false)
    }
}
