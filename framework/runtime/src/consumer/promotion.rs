//! [`Promotion`]: makes a new build the active one after it has caught up with the old one.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use factum_core::document::{DocumentChanges, Revision, encode_document};
use factum_core::position::Position;
use factum_core::read::MAX_PAGE;
use tokio::time::Instant;
use tracing::info;

use super::batch::{Batch, BatchError};
use super::build::Build;
use super::context::{ConsumerContext, PROMOTION_PAUSE};
use super::control::{self, VersionedControl};
use super::lease::{BuildProgress, Checkpoint, build_progress, lease_keys};
use super::panic_guard::catch_panic;
use crate::log_head::read_head;

/// Promotes builds of one consumer.
pub struct Promotion {
    context: Arc<ConsumerContext>,
    /// The build whose promotion is blocked, and the reason.
    blocked: Option<(u64, String)>,
    /// The builds that were prepared.
    prepared: HashSet<u64>,
    /// The number of times that the active build was held, and when it may be held again.
    pauses: (u32, Instant),
}

/// The readiness of a build to replace the active one.
enum Readiness {
    /// It can replace the active build, if these changes succeed.
    Ready(DocumentChanges),
    /// It is less than a page away from the head.
    Close,
    /// It must catch up first.
    Behind,
    /// It has a dead letter that the active build does not have, for this reason.
    Blocked(String),
}

impl Promotion {
    /// Creates the promotion of a consumer's builds.
    pub fn new(context: Arc<ConsumerContext>) -> Self {
        Self {
            context,
            blocked: None,
            prepared: HashSet::new(),
            pauses: (0, Instant::now()),
        }
    }

    /// Returns the build whose promotion is blocked, and the reason.
    pub fn blocked(&self) -> Option<&(u64, String)> {
        self.blocked.as_ref()
    }

    /// Promotes the newest build of this code's version, if it can replace the active build.
    ///
    /// Returns [`ControlFlow::Break`] if the control document must be read again.
    pub async fn promote(
        &mut self,
        read: VersionedControl,
        is_abandoned: bool,
    ) -> Result<ControlFlow<(), VersionedControl>, BatchError> {
        let context = self.context.clone();
        let own = read.control.builds_of(context.version());
        let Some(newest) = own.last().copied() else {
            return Ok(ControlFlow::Continue(read));
        };
        let active = read.control.active_build().copied();
        let is_active = read
            .control
            .active
            .is_some_and(|active| active >= newest.number);
        if is_active || newest.retired {
            self.blocked = active
                .filter(|active| active.number > newest.number)
                .map(|active| (newest.number, superseded(&newest, &active)));
            return Ok(ControlFlow::Continue(read));
        }
        self.prepare(newest.number).await?;
        let readiness = match active {
            Some(active) => {
                self.readiness(&read, &newest, &active, is_abandoned)
                    .await?
            }
            None => Readiness::Ready(DocumentChanges::new()),
        };
        self.blocked = None;
        let interrupted = match readiness {
            Readiness::Ready(interrupted) => interrupted,
            Readiness::Close if self.may_pause() => return self.pause_active_build().await,
            Readiness::Close | Readiness::Behind => return Ok(ControlFlow::Continue(read)),
            Readiness::Blocked(reason) => {
                self.blocked = Some((newest.number, reason));
                return Ok(ControlFlow::Continue(read));
            }
        };
        let mut control = read.control.clone();
        control.promote(&newest);
        let changes = control::change(context.name(), &read, &control)?;
        let batch = Batch {
            build: newest.number,
            events: &[],
            unknown_dead_letter: None,
            changes: changes
                .with(interrupted)
                .with(self.first_checkpoints(&newest).await?),
            documents: &*context.documents,
        };
        let promoted = match context.read_model() {
            Some(model) => catch_panic(model.promote(batch)).await,
            None => batch.commit().await,
        };
        match promoted {
            Ok(_) => {
                self.pauses = (0, Instant::now());
                let name = context.name();
                info!(name, build = newest.number, "build promoted");
            }
            Err(BatchError::LeaseLost) if active.is_some() && self.may_pause() => {
                return self.pause_active_build().await;
            }
            Err(BatchError::LeaseLost) => {}
            Err(error) => return Err(error),
        }
        Ok(ControlFlow::Break(()))
    }

    /// Returns the changes that create the checkpoints of `build` which no node has created yet.
    ///
    /// An append updates an active build only if it has a checkpoint.
    async fn first_checkpoints(&self, build: &Build) -> Result<DocumentChanges, BatchError> {
        let context = &*self.context;
        let keys = lease_keys(context.name(), build.number, build.partitions);
        let found = context.documents.find_documents(&keys).await?;
        let first = Checkpoint {
            position: context.consumer.starts_after(),
            ..Checkpoint::default()
        };
        let mut changes = DocumentChanges::new();
        for key in keys {
            if found.iter().all(|document| document.key != key) {
                changes = changes.put_if(key, Revision::ABSENT, encode_document(&first)?);
            }
        }
        Ok(changes)
    }

    async fn prepare(&mut self, build: u64) -> Result<(), BatchError> {
        if self.prepared.contains(&build) {
            return Ok(());
        }
        if let Some(model) = self.context.read_model() {
            catch_panic(model.prepare(build)).await?;
        }
        self.prepared.insert(build);
        Ok(())
    }

    /// Requests that every node holds the active build for a moment.
    ///
    /// The replacement of the build can overtake it in this time.
    async fn pause_active_build(&self) -> Result<ControlFlow<(), VersionedControl>, BatchError> {
        let context = &*self.context;
        control::edit(&*context.documents, context.name(), |control| {
            control.promotion_pauses += 1;
            Ok::<_, BatchError>(true)
        })
        .await?;
        Ok(ControlFlow::Break(()))
    }

    /// Returns whether the active build may be held now.
    ///
    /// While holding the build does not help, it is held less and less often.
    fn may_pause(&mut self) -> bool {
        let now = Instant::now();
        let (times, next) = self.pauses;
        if now < next {
            return false;
        }
        let longest = self.context.membership.poll_interval() + PROMOTION_PAUSE;
        self.pauses = (times + 1, now + longest * (2 << times.min(6)));
        true
    }

    /// Returns whether `build` contains everything that readers of the active build have seen.
    ///
    /// The nodes that process the active build are interrupted by the promotion, so that it does not advance any
    /// further.
    async fn readiness(
        &self,
        read: &VersionedControl,
        build: &Build,
        active: &Build,
        is_abandoned: bool,
    ) -> Result<Readiness, BatchError> {
        let context = &*self.context;
        let (documents, name) = (&*context.documents, context.name());
        let head = context.head().get();
        let mut before = build_progress(documents, name, active).await?;
        if before.highest.get() > head {
            // After a restore from a backup, a checkpoint can be beyond the head. No build reaches it.
            before.highest = before.highest.min(read_head(&*context.store).await?);
        }
        if read.control.promote_now == Some(build.number) {
            return Ok(Readiness::Ready(before.interrupt()));
        }
        let now = build_progress(documents, name, build).await?;
        let is_close = head.saturating_sub(now.position.get()) <= MAX_PAGE as u64;
        let has_caught_up = now.position >= before.highest;
        if let Some(position) = self.missing_effect(build, active, &before, &now).await? {
            let was_blocked = self.blocked_build() == Some(build.number);
            let active_continues = !before.stopped && !is_abandoned;
            // The active build may not be able to process the event either, once it reaches it.
            if active_continues && !was_blocked && position > before.position {
                return Ok(Readiness::Behind);
            }
            return Ok(Readiness::Blocked(missing_effect(build, position, active)));
        }
        Ok(match is_close && !now.stopped {
            true if has_caught_up => Readiness::Ready(before.interrupt()),
            true => Readiness::Close,
            false => Readiness::Behind,
        })
    }

    fn blocked_build(&self) -> Option<u64> {
        self.blocked.as_ref().map(|(build, _)| *build)
    }

    /// Returns the first dead letter of `build` that had an effect in the active build.
    async fn missing_effect(
        &self,
        build: &Build,
        active: &Build,
        before: &BuildProgress,
        now: &BuildProgress,
    ) -> Result<Option<Position>, BatchError> {
        let has_caught_up = now.position >= before.highest;
        let was_blocked = self.blocked_build() == Some(build.number);
        if now.dead_letters == 0 || !(has_caught_up || was_blocked) {
            return Ok(None);
        }
        let new = self.context.dead_letters(build.number);
        let old = self.context.dead_letters(active.number);
        Ok(new.first_missing_effect(&old, before.position).await?)
    }
}

fn superseded(own: &Build, active: &Build) -> String {
    format!(
        "the active build {} of version {} was created after build {} of this code's version {}: call `rebuild` to make \
         that version active again",
        active.number, active.version, own.number, own.version
    )
}

fn missing_effect(build: &Build, position: Position, active: &Build) -> String {
    format!(
        "the event at position {position} is a dead letter of build {} and had an effect in the active build {}: fix the \
         cause and call `retry`, or call `discard`, or call `promote` to make the build active as it is",
        build.number, active.number
    )
}
