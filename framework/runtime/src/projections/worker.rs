//! [`Worker`]: the task of one partition of one build. Takes its lease, catches up, stays live, retries, parks.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{Instrument as _, debug, error, warn};

use super::control::{self, Build};
use super::foreign::{self, Foreign};
use super::lease::{self, Lease};
use super::pace::Pace;
use super::parked::Parked;
use super::part::Part;
use super::retrying::Retry;
use super::{HOLD, ProjectionState, Shared, StepError, guarded, spread};
use factum_core::read::Page;
use factum_core::stream_id::StreamId;
use factum_engine::error::{StoreError, error_chain};
use factum_engine::subscription::Subscription;

pub struct Worker {
    pub shared: Arc<Shared>,
    pub build: Build,
    partition: u16,
    pub key: String,
    pub control: watch::Receiver<Arc<control::Read>>,
    /// The order to hold that was obeyed last.
    held: u64,
    pub pace: Pace,
    /// Appends move the checkpoint, too: the projection is an inline one.
    pub inline: bool,
}

/// Why a run with a lease was left.
pub enum Left {
    /// Nobody wants the work any more, or not here.
    End,
    /// Others shall have the lease.
    Give,
    /// Another has taken over.
    Lost,
    Paused,
    /// What comes next is for newer code.
    Outdated(String),
    /// An order has come between.
    Again,
    Failed(StepError),
}

impl From<StepError> for Left {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Lost => Self::Lost,
            StepError::Store(StoreError::Closed) => Self::End,
            error => Self::Failed(error),
        }
    }
}

impl From<StoreError> for Left {
    fn from(error: StoreError) -> Self {
        StepError::from(error).into()
    }
}

/// What is held while the lease is.
pub struct Held {
    pub lease: Lease,
    pub parked: Parked,
    /// How much had been discarded when it was learned what is parked, and whether that is still to be looked at.
    pub learned: (u64, bool),
    pub retry: Option<Retry>,
    /// What was passed and is not noted down.
    pub foreign: Option<Foreign>,
    pub failures: u32,
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        build: Build,
        partition: u16,
        control: watch::Receiver<Arc<control::Read>>,
    ) -> Self {
        let key = lease::key(shared.model.name(), build.number, partition);
        let held = control.borrow().control.held;
        Self {
            held,
            pace: Pace::new(),
            inline: false,
            shared,
            build,
            partition,
            key,
            control,
        }
    }

    /// Works until its build is dropped, or nobody sends the control any more.
    pub async fn run(mut self) {
        let span = tracing::info_span!("projection", name = self.shared.model.name());
        let instances = self.shared.instances.clone();
        instances.want(&self.key);
        let work = async {
            tokio::select! {
                () = instances.ready() => {}
                () = self.ended() => return,
            }
            while let Some(lease) = self.acquire().await {
                instances.hold(&self.key);
                let outdated = self.own(lease).await;
                instances.let_go(&self.key);
                if outdated {
                    self.sit_out().await;
                }
            }
        };
        work.instrument(span).await;
        instances.unwant(&self.key);
    }

    /// Waits until nobody sends the control any more.
    pub async fn ended(&self) {
        let mut control = self.control.clone();
        while control.changed().await.is_ok() {}
    }

    pub fn wanted(&self) -> bool {
        let control = self.control.borrow();
        self.control.has_changed().is_ok() && control.control.wants(self.build.number)
    }

    pub fn tell(&self, change: impl FnOnce(&mut Part)) {
        let of = (self.build.number, self.partition);
        let head = *self.shared.store.watch().borrow();
        self.shared.board.part(of, |part| {
            part.head = part.head.max(head);
            change(part);
        });
    }

    /// Works while the lease is held. `true`: others shall have it, since they may have newer code.
    async fn own(&mut self, lease: Lease) -> bool {
        let mut held = Held {
            lease,
            parked: Parked::default(),
            learned: (0, false),
            retry: None,
            foreign: None,
            failures: 0,
        };
        let me = self.shared.instances.me();
        self.tell(|part| {
            part.owner = Some(me);
            part.state = ProjectionState::Starting;
        });
        loop {
            let left = match self.follow(&mut held).await {
                Ok(never) => match never {},
                Err(left) => left,
            };
            let outdated = matches!(left, Left::Outdated(_));
            let goes_on = match left {
                Left::Lost => {
                    let stood = held.lease.position();
                    let mine = held.lease.find_again(&*self.shared.documents).await;
                    // Whoever only interrupts it leaves it where it is.
                    let moved = held.lease.position() > stood;
                    self.inline = mine.map_or(self.inline, |mine| mine && (moved || self.inline));
                    debug!(inline = self.inline, "the lease was moved");
                    return false;
                }
                Left::End | Left::Give => false,
                Left::Again => true,
                Left::Outdated(error) => self.tell_of_newer(error),
                Left::Paused => self.rest(ProjectionState::Paused).await,
                Left::Failed(error) => self.recover(error, &mut held).await,
            };
            if !goes_on {
                let released = held.lease.release(&*self.shared.documents).await;
                if let Err(error) = released {
                    debug!(%error, "the lease was not given back, it will run out");
                }
                return outdated;
            }
        }
    }

    /// Waits for another order; `false`: the work is not wanted any more.
    async fn rest(&mut self, state: ProjectionState) -> bool {
        self.tell(|part| part.state = state);
        self.control.changed().await.is_ok() && self.wanted()
    }

    /// Takes page after page, until something comes between.
    async fn follow(&mut self, held: &mut Held) -> Result<std::convert::Infallible, Left> {
        held.foreign = None;
        self.begin(held).await?;
        let query = self.shared.model.query();
        let position = held.lease.position();
        let mut subscription = Subscription::new(self.shared.store.clone(), query, position);
        let head = self.shared.store.watch();
        loop {
            self.obey(held).await?;
            let there_is_more = *head.borrow() > subscription.position();
            if held.retry.is_some() && held.foreign.is_none() && !there_is_more {
                continue;
            }
            let page = tokio::select! {
                biased;
                changed = self.control.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Err(Left::End),
                },
                page = subscription.next_page() => self.not_foreign(held, page?),
                () = foreign::due(held.foreign.as_ref(), &self.shared) => held.foreign.take().map(|it| it.page),
                () = tokio::time::sleep(self.shared.instances.beat()) => continue,
            };
            let Some(page) = page else { continue };
            let page = match self.inline {
                true => self.without_inline(held, page).await?,
                false => page,
            };
            if !self.inline || page.through() > held.lease.position() {
                self.take(held, &page).await?;
            }
            held.failures = 0;
            self.report(held, &page);
            if self.control.borrow().control.serving < Some(self.build.number) {
                self.shared.arrived.notify_one();
            }
        }
    }

    /// What appends have not taken yet.
    async fn without_inline(&self, held: &mut Held, mut page: Page) -> Result<Page, Left> {
        let known = self.control.borrow().clone();
        let control = (control::key(self.shared.model.name()), known.revision);
        let documents = &*self.shared.documents;
        let wanted = (&*control.0, control.1);
        if !held.lease.find_moved(documents, wanted).await? {
            return Err(Left::Lost);
        }
        let done = held.lease.position();
        if page.through() > done {
            page.events.retain(|event| event.position > done);
        }
        Ok(page)
    }

    /// Makes the build ready, and learns what is parked.
    async fn begin(&self, held: &mut Held) -> Result<(), Left> {
        let shared = &*self.shared;
        if !held.lease.find_again(&*shared.documents).await? {
            return Err(Left::Lost);
        }
        let prepared = guarded(shared.model.prepare(self.build.number)).await;
        prepared.map_err(|error| Left::Failed(error.into()))?;
        self.learn(held).await?;
        let head = *shared.store.watch().borrow();
        self.tell(|part| {
            part.stand_at(held.lease.position());
            part.head = head;
            part.parked = held.parked.len();
            part.newest = held.lease.checkpoint().newest;
            part.state = ProjectionState::CatchingUp;
            if part.position >= head {
                // Another instance did what failed here.
                part.last_error = None;
                part.state = ProjectionState::Live;
            }
        });
        Ok(())
    }

    /// What was ordered since the last page.
    async fn obey(&mut self, held: &mut Held) -> Result<(), Left> {
        if self.control.has_changed().is_err() {
            return Err(Left::End);
        }
        let control = self.control.borrow_and_update().clone();
        let control = &control.control;
        if !control.wants(self.build.number) {
            return Err(Left::End);
        }
        if control.paused {
            return Err(Left::Paused);
        }
        if control.held > self.held {
            self.held = control.held;
            self.hold().await;
        }
        if self.shared.instances.gives(&self.key) {
            return Err(Left::Give);
        }
        if let Some(why) = self.shared.instances.offers(&self.key) {
            return Err(Left::Outdated(why));
        }
        self.obey_for_parked(held, control).await
    }

    /// Lets what replaces this build overtake it. Others may learn of the order only with their next beat.
    async fn hold(&mut self) {
        let build = self.build.number;
        let replaced = |read: &Arc<control::Read>| read.control.serving != Some(build);
        let longest = self.shared.instances.beat() + HOLD;
        // Whatever ends it, the control says what is next.
        let _ = tokio::time::timeout(longest, self.control.wait_for(replaced)).await;
    }

    pub fn is_mine(&self, stream: &StreamId) -> bool {
        let partitions = u64::from(self.build.partitions);
        partitions == 1 || spread::hash(stream.as_str()) % partitions == u64::from(self.partition)
    }

    fn report(&self, held: &Held, page: &Page) {
        let newest = page.events.last().map(|event| event.recorded_at);
        self.tell(|part| {
            part.come_to(page.through());
            part.head = page.head;
            part.newest = newest.or(part.newest);
            part.parked = held.parked.len();
            part.last_error = None;
            let caught_up = part.position >= part.head;
            part.state = match part.state {
                ProjectionState::Live => ProjectionState::Live,
                _ if caught_up => ProjectionState::Live,
                _ => ProjectionState::CatchingUp,
            };
        });
    }

    /// Pauses behind a failure, or stops and waits for an order; `false`: the work is not wanted any more.
    async fn recover(&mut self, error: StepError, held: &mut Held) -> bool {
        crate::metrics::projection_failed(self.shared.model.name());
        held.failures += 1;
        let passes = matches!(
            error,
            StepError::Store(StoreError::Unavailable(_) | StoreError::Interrupted(_))
        );
        let torn = matches!(error, StepError::Torn(_));
        let text = error_chain(&error);
        self.tell(|part| {
            part.last_error = Some(text.clone());
        });
        if torn || (!passes && held.failures >= self.shared.retry.attempts) {
            error!(error = text, failures = held.failures, "projection stopped");
            held.failures = 0;
            self.note_stop(held, &text).await;
            return self.rest(ProjectionState::Stopped).await;
        }
        let pause = self.shared.retry.pause(held.failures);
        warn!(
            error = text,
            failures = held.failures,
            ?pause,
            "projection failed, trying again"
        );
        self.tell(|part| part.state = ProjectionState::Retrying);
        tokio::select! {
            changed = self.control.changed() => changed.is_ok() && self.wanted(),
            () = tokio::time::sleep(pause) => true,
        }
    }
}
