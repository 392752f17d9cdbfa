//! [`Retry`]: how a [`Worker`] tries again what is parked, a little at a time, so that other streams go on meanwhile.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::control::Control;
use super::dead_letter::{DeadLetter, DeadLetterState, Letter};
use super::lease::Checkpoint;
use super::pace::LONGEST;
use super::parked::{Parked, Queue};
use super::parked_events::events_at;
use super::parking::Work;
use super::worker::{Held, Left, Worker};
use super::{EventError, StepError};
use factum_core::position::Position;
use factum_core::stream_id::StreamId;
use factum_engine::error::{StoreError, error_chain};
use factum_engine::record::RecordedEvent;

/// What goes into one step.
const MOST: usize = 512;

/// A retry under way: in the order of the store, each stream, and all that is about the same, as far as it goes.
pub struct Retry {
    /// The order that it obeys.
    order: u64,
    /// `None`: all.
    streams: Option<HashSet<StreamId>>,
    /// It has come to here.
    position: Position,
    /// What it could not take, and what stands behind that.
    queue: Queue,
    /// How many events go into the next step.
    size: usize,
}

/// What is tried in one step.
struct Batch {
    letters: Vec<Letter>,
    /// What was passed on the way, for it stands behind what could not be taken.
    passed: Queue,
    through: Position,
}

impl Retry {
    fn new(order: u64, streams: Option<HashSet<StreamId>>) -> Self {
        Self {
            order,
            streams,
            position: Position::ZERO,
            queue: Queue::default(),
            size: 1,
        }
    }

    /// What comes next; `None`: nothing.
    fn next(&self, parked: &Parked) -> Option<Batch> {
        let mut batch = Batch {
            letters: Vec::new(),
            passed: Queue::default(),
            through: self.position,
        };
        if self.streams.as_ref().is_some_and(HashSet::is_empty) {
            return None;
        }
        for next in parked.behind(self.position) {
            if batch.letters.len() == self.size {
                break;
            }
            let (stream, about) = (&next.letter.stream, next.letter.about());
            let held = self.queue.holds(stream, about) || batch.passed.holds(stream, about);
            let streams = self.streams.as_ref();
            if held || streams.is_some_and(|streams| !streams.contains(stream)) {
                batch.passed.join(&next.letter);
            } else {
                batch.letters.push(next.clone());
            }
            batch.through = next.letter.position;
        }
        (batch.through > self.position).then_some(batch)
    }

    fn took(&mut self, time: Duration) {
        self.size = match time {
            time if time < LONGEST / 2 => (self.size * 2).min(MOST),
            time if time > LONGEST => (self.size / 2).max(1),
            _ => self.size,
        };
    }
}

impl Worker {
    /// Begins to try again what is parked, where that was ordered, and where a stream waits for nothing any more; and goes
    /// on for a moment with what was begun.
    pub async fn obey_for_parked(&self, held: &mut Held, control: &Control) -> Result<(), Left> {
        let under_way = held.retry.take();
        let obeyed = under_way.as_ref().map(|retry| retry.order);
        let ordered = control.retries > obeyed.unwrap_or(held.lease.checkpoint().retries);
        if ordered || control.discards > held.learned.0 {
            self.learn(held).await?;
        }
        let retry = match under_way {
            _ if held.learned.1 => {
                let all = control.retries > held.lease.checkpoint().retries;
                let streams = (!all).then(|| held.parked.freed());
                Some(Retry::new(control.retries, streams))
            }
            under_way => under_way,
        };
        held.learned.1 = false;
        if let Some(retry) = retry {
            held.retry = self.go_on(held, retry).await?;
            self.tell(|part| part.parked = held.parked.len());
        }
        Ok(())
    }

    /// Gives back what is left to do.
    async fn go_on(&self, held: &mut Held, mut retry: Retry) -> Result<Option<Retry>, Left> {
        let began = Instant::now();
        while began.elapsed() < LONGEST {
            let Some(batch) = retry.next(&held.parked) else {
                let known = held.lease.checkpoint();
                let obeyed = Checkpoint {
                    retries: retry.order,
                    parked: held.parked.len(),
                    ..known.clone()
                };
                if obeyed != *known {
                    self.note(held, obeyed).await?;
                }
                return Ok(None);
            };
            self.try_again(held, &mut retry, batch).await?;
        }
        Ok(Some(retry))
    }

    /// Tries `batch` in one step. Where one of its events fails, what stands ahead of that is tried without it, and then it
    /// alone.
    async fn try_again(
        &self,
        held: &mut Held,
        retry: &mut Retry,
        batch: Batch,
    ) -> Result<(), Left> {
        let began = Instant::now();
        let positions: Vec<_> = batch.letters.iter().map(|it| it.letter.position).collect();
        let events = events_at(&*self.shared.store, &positions).await?;
        if let Some((missing, _)) = positions.iter().zip(&events).find(|(_, it)| it.is_none()) {
            let missing = format!("the parked event at position {missing} is not in the store");
            return Err(StoreError::Corrupt(missing).into());
        }
        let events: Vec<_> = events.into_iter().flatten().collect();
        let work = Work {
            settled: &batch.letters,
            ..Work::take(&events, held.lease.position())
        };
        let tried = match events.is_empty() {
            true => Ok(()),
            false => self.commit(held, work).await,
        };
        let failed = match tried {
            Ok(()) => {
                retry.queue.extend(batch.passed);
                retry.position = batch.through;
                retry.took(began.elapsed());
                return Ok(());
            }
            Err(StepError::Failed(failed)) => failed,
            Err(error) => return Err(error.into()),
        };
        let Some(at) = positions.iter().position(|at| *at == failed.position) else {
            return Err(StepError::Failed(failed).into());
        };
        if let ([letter], [event]) = (&batch.letters[..], &events[..]) {
            self.keep_parked(held, (event, letter), &failed).await?;
            retry.queue.extend(batch.passed);
            retry.queue.join(&letter.letter);
            retry.position = batch.through;
        }
        retry.size = at.max(1);
        Ok(())
    }

    /// It failed again.
    async fn keep_parked(
        &self,
        held: &mut Held,
        (event, before): (&RecordedEvent, &Letter),
        failed: &EventError,
    ) -> Result<(), Left> {
        if failed.waits() {
            return Ok(());
        }
        crate::metrics::projection_failed(self.shared.model.name());
        let attempts = match before.letter.state {
            DeadLetterState::Failed { attempts, .. } => attempts,
            _ => 0,
        };
        let state = DeadLetterState::Failed {
            error: error_chain(failed),
            attempts: attempts.saturating_add(1),
        };
        let about = self.shared.model.about(event);
        let letter = DeadLetter {
            parked_at: before.letter.parked_at,
            ..DeadLetter::new((event, about), state)
        };
        let work = Work {
            replaced: Some(before),
            ..Work::park(vec![letter], held.lease.position())
        };
        Ok(self.commit(held, work).await?)
    }
}
