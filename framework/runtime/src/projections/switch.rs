//! How a [`Supervisor`] lets readers see another build.

use std::ops::ControlFlow;

use tokio::time::Instant;
use tracing::info;

use super::control::Build;
use super::supervisor::Supervisor;
use super::{HOLD, ProjectionError, Shared, Step, StepError, control, guarded, lease};
use factum_core::document::DocumentChanges;
use factum_core::position::Position;
use factum_core::read::MAX_PAGE;

/// Whether a build can replace what readers see.
enum Ready {
    /// If these changes can be made.
    Now(DocumentChanges),
    /// It is less than a page behind the head.
    Soon,
    No,
    /// Not until somebody says so: why.
    Parked(String),
}

impl Supervisor {
    /// Lets readers see the newest own build, if it is ready.
    pub async fn switch(
        &mut self,
        read: control::Read,
    ) -> Result<ControlFlow<(), control::Read>, ProjectionError> {
        let shared = self.shared.clone();
        let Some(newest) = read.control.own(shared.model.version()).last().copied() else {
            return Ok(ControlFlow::Continue(read));
        };
        let served = read.control.served().copied();
        let serves = read
            .control
            .serving
            .is_some_and(|serving| serving >= newest.number);
        if serves || newest.retired {
            self.promotion_blocked = served
                .filter(|served| served.number > newest.number)
                .map(|served| (newest.number, overtaken(&newest, &served)));
            return Ok(ControlFlow::Continue(read));
        }
        if !self.ready.contains(&newest.number) {
            guarded(shared.model.prepare(newest.number)).await?;
            self.ready.insert(newest.number);
        }
        let ready = match served {
            Some(served) => self.caught_up(&read, &newest, &served).await?,
            None => Ready::Now(DocumentChanges::new()),
        };
        self.promotion_blocked = None;
        let interrupted = match ready {
            Ready::Now(interrupted) => interrupted,
            Ready::Soon if self.may_hold() => return self.hold().await,
            Ready::Soon | Ready::No => return Ok(ControlFlow::Continue(read)),
            Ready::Parked(why) => {
                self.promotion_blocked = Some((newest.number, why));
                return Ok(ControlFlow::Continue(read));
            }
        };
        let mut control = read.control.clone();
        control.serve(&newest);
        let step = Step {
            build: newest.number,
            events: &[],
            obscure: None,
            changes: control::change(shared.model.name(), &read, &control)?.with(interrupted),
            documents: &*shared.documents,
        };
        match shared.model.serve(step).await {
            Ok(_) => {
                self.holds = (0, Instant::now());
                let name = shared.model.name();
                info!(name, build = newest.number, "readers see another build");
            }
            Err(StepError::Lost) if served.is_some() && self.may_hold() => {
                return self.hold().await;
            }
            Err(StepError::Lost) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(ControlFlow::Break(()))
    }

    /// Lets what readers see wait for what is to replace it, in whichever instances.
    async fn hold(&self) -> Result<ControlFlow<(), control::Read>, ProjectionError> {
        let shared = &*self.shared;
        control::edit(&*shared.documents, shared.model.name(), |control| {
            control.held += 1;
            Ok(true)
        })
        .await?;
        Ok(ControlFlow::Break(()))
    }

    /// Whether it is time to try that, which is less and less often while it does not help.
    fn may_hold(&mut self) -> bool {
        let now = Instant::now();
        let (times, next) = self.holds;
        if now < next {
            return false;
        }
        let longest = self.shared.instances.beat() + HOLD;
        self.holds = (times + 1, now + longest * (2 << times.min(6)));
        true
    }

    /// Whether `build` shows all that readers have seen before, and what the step must hold for that to be so
    /// still. Whoever works on `served` is made to look at the control first: it must
    /// not be told of as what readers see when they do not.
    async fn caught_up(
        &self,
        read: &control::Read,
        build: &Build,
        served: &Build,
    ) -> Result<Ready, ProjectionError> {
        let shared = &*self.shared;
        let Shared {
            model,
            store,
            documents,
            ..
        } = shared;
        let head = store.watch().borrow().get();
        let of = |build: &Build| (build.number, build.partitions);
        let before = lease::progress(&**documents, model.name(), of(served)).await?;
        if read.control.at_once {
            return Ok(Ready::Now(before.interrupt()));
        }
        let now = lease::progress(&**documents, model.name(), of(build)).await?;
        let near = head.saturating_sub(now.position.get()) <= MAX_PAGE as u64;
        let all = now.position >= before.farthest;
        let is_known = self.promotion_blocked.as_ref().map(|held| held.0) == Some(build.number);
        if now.parked > 0 && (all || is_known) {
            let (new, old) = (shared.letters(build.number), shared.letters(served.number));
            // Who stands still comes to nothing more.
            let goes_on = !before.stopped && !self.is_abandoned();
            match new.waits_only_here(&old, before.position).await? {
                // What readers see may have to park it, too, once it comes there.
                Some(position) if goes_on && !is_known && position > before.position => {
                    return Ok(Ready::No);
                }
                Some(position) => return Ok(Ready::Parked(lacks(build, position, served))),
                None => {}
            }
        }
        Ok(match near && !now.stopped {
            true if all => Ready::Now(before.interrupt()),
            true => Ready::Soon,
            false => Ready::No,
        })
    }
}

fn overtaken(own: &Build, served: &Build) -> String {
    format!(
        "readers see build {} of version {}, which was begun behind build {} of this code's version {}: only `rebuild` lets \
         them see that version again",
        served.number, served.version, own.number, own.version
    )
}

fn lacks(build: &Build, position: Position, served: &Build) -> String {
    format!(
        "build {} has parked the event at position {position}, which has had its effect in build {}, which readers see: mend \
         the cause and `retry`, or `discard` it, or let readers see that build as it is by `switch`",
        build.number, served.number
    )
}
