//! How a [`Worker`] comes to its lease, and what it tells of while another has it.

use std::sync::atomic::Ordering::SeqCst;

use tracing::warn;

use super::lease::{Attempt, Checkpoint, Lease};
use super::worker::Worker;
use super::{GLANCE, ProjectionState, control};
use factum_engine::error::{StoreError, error_chain};

impl Worker {
    /// Waits until the lease is free and this instance may have it; `None`: it is not wanted any more.
    pub async fn acquire(&mut self) -> Option<Lease> {
        let mut failures = 0;
        loop {
            if !self.wanted() {
                return None;
            }
            let shared = self.shared.clone();
            let wanted = shared.wanted.notified();
            tokio::pin!(wanted);
            // From here on it is heard.
            wanted.as_mut().enable();
            let known = self.control.borrow_and_update().clone();
            let control = (&*control::key(shared.model.name()), known.revision);
            let of = (self.key.as_str(), shared.model.starts_after());
            let taken = Lease::take(&*shared.documents, &shared.instances, of, control);
            let pause = match taken.await {
                Ok(Attempt::Taken(lease)) => return Some(lease),
                Ok(Attempt::Left(checkpoint)) => {
                    self.tell_of_other(checkpoint, known.control.resumed);
                    failures = 0;
                    shared.glance()
                }
                Ok(Attempt::Outdated) => {
                    shared.poked.notify_one();
                    GLANCE
                }
                Err(StoreError::Closed) => return None,
                Err(error) => {
                    failures += 1;
                    self.tell(|part| {
                        part.state = ProjectionState::Retrying;
                        part.last_error = Some(error_chain(&error));
                    });
                    shared.retry.pause(failures)
                }
            };
            tokio::select! {
                changed = self.control.changed() => if changed.is_err() { return None },
                () = wanted => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Lets others take the lease who may have newer code.
    pub async fn sit_out(&self) {
        let instances = &self.shared.instances;
        instances.unwant(&self.key);
        tokio::select! {
            () = tokio::time::sleep(instances.lease() * 2) => {}
            () = self.ended() => {}
        }
        instances.want(&self.key);
    }

    /// What comes next is for newer code, so nothing goes on: `false`.
    pub fn tell_of_newer(&self, error: String) -> bool {
        warn!(error, "left to newer code");
        self.tell(|part| {
            part.state = ProjectionState::Retrying;
            part.last_error = Some(error);
        });
        false
    }

    fn tell_of_other(&self, checkpoint: Checkpoint, resumed: u64) {
        let head = *self.shared.store.watch().borrow();
        self.tell(|part| {
            // Asked here, so that whoever has just ordered it to go on is not told of what was ahead of that.
            let resumed = resumed.max(self.shared.resumed.load(SeqCst));
            let stopped = checkpoint.stopped.filter(|stop| stop.resumed >= resumed);
            part.state = match &stopped {
                Some(_) => ProjectionState::Stopped,
                None => ProjectionState::Elsewhere,
            };
            part.owner = checkpoint.holder;
            part.head = head;
            part.parked = checkpoint.parked;
            part.newest = checkpoint.newest;
            part.last_error = stopped.map(|stop| stop.error);
            part.come_to(checkpoint.position);
        });
    }
}
