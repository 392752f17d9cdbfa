//! [`EventHandler`]: side effects outside the store.

use factum_engine::error::BoxError;
use factum_engine::event::Event;
use factum_engine::record::Recorded;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::consumer::FailurePolicy;
use crate::start_from::StartFrom;

/// Performs side effects outside the store for the events of one type.
///
/// For example, it sends a mail or calls another system.
///
/// Each event is delivered at least once. It is delivered again after a failure, and after a crash between the effect
/// and the checkpoint. Its id, `event.record.id`, is the same each time: pass it to the other system as idempotency
/// key. The events of one stream are delivered in order. The parts of an event that was
/// [split](factum_engine::legacy::LegacyEvent) are delivered one by one. After a failure, all of them are delivered
/// again.
///
/// ```
/// # use factum::prelude::*;
/// use factum::runtime::{EventHandler, HandlerError};
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum OrderEvent { Placed { mail: String } }
/// # struct Smtp;
/// # impl Smtp { async fn send(&self, _: String, _: &str) -> Result<(), std::io::Error> { Ok(()) } }
///
/// struct Mails { smtp: Smtp }
///
/// impl EventHandler<OrderEvent> for Mails {
///     async fn handle(&self, event: &Recorded<OrderEvent>) -> Result<(), HandlerError> {
///         let OrderEvent::Placed { mail } = &event.event;
///         let id = event.record.id.to_string();
///         Ok(self.smtp.send(id, mail).await?)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{E}`",
    label = "`impl EventHandler<{E}> for {Self}` is missing",
    note = "write `impl EventHandler<{E}> for {Self} {{ async fn handle(&self, event: &Recorded<{E}>) -> Result<(), HandlerError> {{ … }} }}`"
)]
pub trait EventHandler<E: Event>: Send + Sync + 'static {
    /// Performs the side effect of `event`.
    ///
    /// # Errors
    /// Returns any error. The failure policy then applies to the event.
    fn handle(&self, event: &Recorded<E>) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// The reason why a side effect failed.
pub type HandlerError = BoxError;

/// The object-safe twin of [`EventHandler`].
pub(crate) trait BoxedHandler<E>: Send + Sync {
    fn handle<'a>(&'a self, event: &'a Recorded<E>) -> BoxFuture<'a, Result<(), HandlerError>>;
}

impl<E: Event, H: EventHandler<E>> BoxedHandler<E> for H {
    fn handle<'a>(&'a self, event: &'a Recorded<E>) -> BoxFuture<'a, Result<(), HandlerError>> {
        EventHandler::handle(self, event).boxed()
    }
}

/// The options of an event handler.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HandlerOptions {
    /// The start position of a new handler.
    pub start_from: StartFrom,
    /// The number of streams whose events are handled at a time, 1 to 10,000. Default: 8.
    pub concurrency: usize,
    /// The policy for events that fail; by default they become dead letters.
    pub failure_policy: FailurePolicy,
}

impl HandlerOptions {
    /// Creates the default options of a handler that starts at `start_from`.
    #[must_use]
    pub fn new(start_from: StartFrom) -> Self {
        Self {
            start_from,
            concurrency: 8,
            failure_policy: FailurePolicy::default(),
        }
    }

    /// Sets the number of streams whose events are handled at a time, 1 to 10,000.
    #[must_use]
    pub fn concurrency(mut self, streams: usize) -> Self {
        self.concurrency = streams;
        self
    }

    /// Sets the policy for events that fail.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }
}

impl From<StartFrom> for HandlerOptions {
    fn from(start_from: StartFrom) -> Self {
        Self::new(start_from)
    }
}
