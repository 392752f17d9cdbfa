//! [`ProjectionHandle`]: observes and controls one projection.

use std::ops::Deref;

use factum_core::position::Position;
use factum_engine::engine::WaitForPosition;

use crate::consumer::{ConsumerHandle, ConsumerStatus, ControlError, WaitError};
use crate::log_head::read_head;

/// Observes and controls one projection.
///
/// It dereferences to the [`ConsumerHandle`] of the projection, and is cheap to clone.
///
/// ```no_run
/// # use factum::prelude::*;
/// # use factum::runtime::ControlError;
/// # async fn run<Owners: Projection>(runtime: Runtime, receipt: Receipt) -> Result<(), ControlError> {
/// let owners = runtime.projection::<Owners>()?;
/// owners.wait_for(receipt.position()).await?;
/// owners.rebuild().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct ProjectionHandle(ConsumerHandle);

impl ProjectionHandle {
    /// Creates the handle of a consumer that is a projection.
    pub(crate) fn new(consumer: ConsumerHandle) -> Self {
        Self(consumer)
    }

    /// Waits until readers see the events that are stored now, in a build of the version of this code.
    ///
    /// After a change of the version, this takes until the new build has caught up and is promoted. A read model that
    /// is new must process all events.
    ///
    /// # Errors
    /// Returns [`ControlError::Wait`] if the projection has stopped, or the
    /// [promotion is blocked](ConsumerStatus::promotion_blocked), and [`ControlError::Store`] if the store fails.
    pub async fn wait_until_current(&self) -> Result<(), ControlError> {
        let head = read_head(&*self.context().store).await?;
        let current = |status: &ConsumerStatus| {
            status.is_current_version && status.readable && status.position >= head
        };
        let failed =
            |status: &ConsumerStatus| status.is_stopped() || status.promotion_blocked.is_some();
        Ok(self.wait_until(current, failed).await?)
    }

    /// Builds the read model again from the first event, and waits until the new build is active.
    ///
    /// The active build serves readers meanwhile. The new build continues if the future is dropped, and after restarts.
    ///
    /// # Errors
    /// Returns [`ControlError`] if the store fails or the new build stops.
    pub async fn rebuild(&self) -> Result<(), ControlError> {
        self.start_build(false).await
    }

    /// Replaces the read model with an empty one that starts at the first event.
    ///
    /// Returns when the empty read model is active. [`wait_for`](ConsumerHandle::wait_for) waits until it has caught
    /// up.
    ///
    /// # Errors
    /// Returns [`ControlError`] if the store fails or the new build stops.
    pub async fn reset(&self) -> Result<(), ControlError> {
        self.start_build(true).await
    }

    async fn start_build(&self, promote_now: bool) -> Result<(), ControlError> {
        let context = self.context();
        let mut build = 0;
        context.status.clear_failures();
        self.request(|control| {
            build = control.add_build(context.version(), context.consumer.partitions());
            if promote_now {
                control.promote_now = Some(build);
            }
        })
        .await?;
        // The active build may have stopped: a rebuild helps then.
        let is_active = |status: &ConsumerStatus| status.build >= build;
        let is_stuck = |status: &ConsumerStatus| status.obstacle_of(build).is_some();
        Ok(self
            .wait_until(is_active, is_stuck)
            .await
            .map_err(|error| self.status().obstacle_of(build).unwrap_or(error))?)
    }

    /// Promotes the newest build in its current state.
    ///
    /// The build may not have caught up, or may have dead letters that the active build does not have. Without a newer
    /// build, the call has no effect.
    ///
    /// # Errors
    /// Returns [`ControlError::Store`] if the store fails.
    pub async fn promote(&self) -> Result<(), ControlError> {
        let context = self.context();
        let version = context.version();
        self.request(|control| {
            let replacement = control.replacement(version).map(|build| build.number);
            control.promote_now = replacement.or(control.promote_now);
        })
        .await?;
        context.status.clear_failures();
        Ok(())
    }

    /// Drops every build that is older than the active one.
    ///
    /// # Errors
    /// Returns [`ControlError::Store`] if the store fails.
    pub async fn prune_builds(&self) -> Result<(), ControlError> {
        self.request(|control| {
            let active = control.active.unwrap_or_default();
            for build in &mut control.builds {
                build.retired |= build.number < active;
            }
        })
        .await
    }
}

impl Deref for ProjectionHandle {
    type Target = ConsumerHandle;

    fn deref(&self) -> &ConsumerHandle {
        &self.0
    }
}

impl WaitForPosition for ProjectionHandle {
    type Error = WaitError;

    async fn wait_for(&self, position: Position) -> Result<(), WaitError> {
        self.0.wait_for(position).await
    }
}
