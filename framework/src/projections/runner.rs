//! The task of one projection: catch up, stay live, retry, stop.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{Instrument as _, debug, error, warn};

use super::{ProjectionError, ProjectionState, ProjectionStatus, ReadModel};
use crate::engine::RetryPolicy;
use crate::place::Position;
use crate::read::Page;
use crate::store::EventStore;
use crate::subscription::Subscription;

type Answer = oneshot::Sender<Result<(), ProjectionError>>;

/// What the owner of a projection wants of it. That nobody can order any more means: end.
pub(super) enum Order {
    Rebuild(Answer),
    Resume(Answer),
}

pub(super) struct Runner {
    model: Arc<dyn ReadModel>,
    store: Arc<dyn EventStore>,
    retry: RetryPolicy,
    status: watch::Sender<ProjectionStatus>,
}

/// Why a run was left.
enum Left {
    End,
    Order(Order),
    Failed(ProjectionError),
}

impl Runner {
    pub(super) fn new(
        model: Arc<dyn ReadModel>,
        store: Arc<dyn EventStore>,
        retry: RetryPolicy,
        status: watch::Sender<ProjectionStatus>,
    ) -> Self {
        Self {
            model,
            store,
            retry,
            status,
        }
    }

    /// Runs until nobody holds the other end of `inbox`.
    pub(super) async fn run(self, mut inbox: mpsc::Receiver<Order>) {
        let span = tracing::info_span!("projection", name = self.model.name());
        let work = async {
            let mut failures = 0;
            loop {
                match self.follow(&mut inbox, &mut failures).await {
                    Left::End => return,
                    Left::Order(order) => {
                        failures = 0;
                        self.obey(order).await;
                    }
                    Left::Failed(error) => {
                        failures += 1;
                        if self.recover(&error, failures, &mut inbox).await.is_break() {
                            return;
                        }
                    }
                }
            }
        };
        work.instrument(span).await;
    }

    /// Opens the read model and takes page after page, until something comes between. A page that works
    /// sets `failures` back.
    async fn follow(&self, inbox: &mut mpsc::Receiver<Order>, failures: &mut u32) -> Left {
        let position = match guarded(self.model.open()).await {
            Ok(position) => position,
            Err(error) => return Left::Failed(error),
        };
        let mut subscription = Subscription::new(self.store.clone(), self.model.query(), position);
        let head = *self.store.watch().borrow();
        self.status.send_modify(|status| {
            status.position = position;
            status.head = head;
            if position >= head {
                // Another process did what failed here.
                status.last_error = None;
                status.state = ProjectionState::Live;
            } else {
                status.state = ProjectionState::CatchingUp;
            }
        });
        loop {
            let page = tokio::select! {
                biased;
                order = inbox.recv() => return order.map_or(Left::End, Left::Order),
                page = subscription.next_page() => page,
            };
            let page = match page {
                Ok(page) => page,
                Err(crate::StoreError::Closed) => return Left::End,
                Err(error) => return Left::Failed(error.into()),
            };
            let span = tracing::debug_span!("project", events = page.events.len());
            if let Err(error) = guarded(self.model.project(&page)).instrument(span).await {
                return Left::Failed(error);
            }
            *failures = 0;
            self.report(&page);
        }
    }

    fn report(&self, page: &Page) {
        self.status.send_modify(|status| {
            status.position = page.through();
            status.head = page.head;
            status.last_error = None;
            let caught_up = status.position >= status.head;
            status.state = match status.state {
                ProjectionState::Live => ProjectionState::Live,
                _ if caught_up => ProjectionState::Live,
                _ => ProjectionState::CatchingUp,
            };
        });
    }

    async fn obey(&self, order: Order) {
        match order {
            Order::Resume(answer) => {
                self.status
                    .send_modify(|status| status.state = ProjectionState::Starting);
                let _ = answer.send(Ok(()));
            }
            Order::Rebuild(answer) => {
                let reset = guarded(self.model.reset()).await;
                if reset.is_ok() {
                    self.status.send_modify(|status| {
                        status.position = Position::ZERO;
                        status.state = ProjectionState::CatchingUp;
                        status.last_error = None;
                    });
                }
                // Whoever ordered may have gone meanwhile.
                let _ = answer.send(reset);
            }
        }
    }

    /// Pauses behind a failure, or stops and waits for an order.
    async fn recover(
        &self,
        error: &ProjectionError,
        failures: u32,
        inbox: &mut mpsc::Receiver<Order>,
    ) -> std::ops::ControlFlow<()> {
        let stopped = failures >= self.retry.attempts;
        let state = if stopped {
            ProjectionState::Stopped
        } else {
            ProjectionState::Retrying
        };
        self.status.send_modify(|status| {
            status.state = state;
            status.last_error = Some(chain(error));
        });
        let order = if stopped {
            error!(error = chain(error), failures, "projection stopped");
            inbox.recv().await
        } else {
            let pause = self.retry.pause(failures);
            warn!(
                error = chain(error),
                failures,
                ?pause,
                "projection failed, trying again"
            );
            tokio::select! {
                order = inbox.recv() => order,
                () = tokio::time::sleep(pause) => return std::ops::ControlFlow::Continue(()),
            }
        };
        let Some(order) = order else {
            return std::ops::ControlFlow::Break(());
        };
        debug!("projection goes on by order");
        self.obey(order).await;
        std::ops::ControlFlow::Continue(())
    }
}

/// Turns a panic of the projection's code into an error.
async fn guarded<T>(
    work: impl Future<Output = Result<T, ProjectionError>>,
) -> Result<T, ProjectionError> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(panicked(&*panic).into()))
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "the projection panicked: {}",
        text.unwrap_or("without a text")
    )
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
