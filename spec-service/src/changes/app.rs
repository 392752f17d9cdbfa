//! [`ChangeFeed`]: a limited number of streams of changes.

use std::sync::Arc;

use factum::Position;
use factum::event::EventSet as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::access::domain::NamespaceId;
use crate::app::{AppError, Application, Refusal, RefusalKind, RequestContext};
use crate::specs::app::{Change, ChangeStream, Specs};
use crate::specs::domain::{Spec, SpecEvent, SpecId};

/// A handle to the streams of changes. Clones share the limit.
#[derive(Clone)]
pub struct ChangeFeed {
    app: Application,
    specs: Specs,
    permits: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

/// The changes to send. The default sends all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// The namespace of the specifications whose changes are sent.
    pub namespace: Option<NamespaceId>,
    /// The only specification whose changes are sent.
    pub spec: Option<SpecId>,
    /// The event types to send. Empty means all.
    pub events: Vec<String>,
}

/// The reason why a stream of changes is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangesRefusal {
    /// The maximum number of streams is open.
    #[error("too many streams of changes; close one, or try again later")]
    TooManyStreams,
    /// No event has this type.
    #[error("unknown event type: {event:?}; known are {}", .known.join(", "))]
    UnknownEvent {
        /// The requested type, shortened.
        event: String,
        /// The event types.
        known: Vec<&'static str>,
    },
}

impl Refusal for ChangesRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::TooManyStreams => RefusalKind::TooMany,
            Self::UnknownEvent { .. } => RefusalKind::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::TooManyStreams => "too_many_streams",
            Self::UnknownEvent { .. } => "unknown_event_type",
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::TooManyStreams => None,
            Self::UnknownEvent { .. } => Some("events"),
        }
    }
}

/// An open stream of changes.
pub struct OpenChanges {
    app: Application,
    stream: ChangeStream,
    /// The change that was read and not returned.
    pending: Option<Change>,
    filter: ChangeFilter,
    stop: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

/// The next part of a stream.
pub enum NextChange {
    /// A change that the filter selects.
    Selected(Box<Change>),
    /// A change that the filter does not select, at this position.
    Passed(Position),
    /// The service stops.
    Stopping,
}

impl ChangeFeed {
    /// Creates a handle to at most `max_streams` streams. They end when `stop` becomes `true`.
    #[must_use]
    pub fn new(
        app: Application,
        specs: Specs,
        max_streams: usize,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(max_streams));
        Self {
            app,
            specs,
            permits,
            stop,
        }
    }

    /// Opens a stream of the changes from position `from` on.
    ///
    /// # Errors
    /// Returns [`ChangesRefusal`], or [`AppError::BeyondHead`] if the log ends before the position.
    pub async fn open(
        &self,
        from: Position,
        filter: ChangeFilter,
        context: &RequestContext,
    ) -> Result<OpenChanges, AppError> {
        let known = SpecEvent::names();
        let mut events = filter.events.iter();
        if let Some(event) = events.find(|event| !known.contains(&event.as_str())) {
            let event = event.chars().take(40).collect();
            return Err(ChangesRefusal::UnknownEvent { event, known }.into());
        }
        let head = self.app.engine().head().await?;
        if from.get() > head.get() + 1 {
            let position = from;
            return Err(AppError::BeyondHead { position, head });
        }
        let permit = self.permits.clone().try_acquire_owned();
        let permit = permit.map_err(|_| ChangesRefusal::TooManyStreams)?;
        Ok(OpenChanges {
            app: self.app.clone(),
            stream: self.specs.watch(from, context),
            pending: None,
            filter,
            stop: self.stop.clone(),
            _permit: permit,
        })
    }
}

impl OpenChanges {
    /// Waits for the next change. This method is cancel safe.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub async fn next(&mut self) -> Result<NextChange, AppError> {
        if self.pending.is_none() {
            let change = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return Ok(NextChange::Stopping),
                change = self.stream.next() => change?,
            };
            self.pending = Some(change);
        }
        let is_selected = match &self.pending {
            Some(change) => self.selects(change).await?,
            None => false,
        };
        Ok(match self.pending.take() {
            Some(change) if is_selected => NextChange::Selected(Box::new(change)),
            Some(change) => NextChange::Passed(change.event.record.position),
            // Unreachable: a change was stored above.
            None => NextChange::Stopping,
        })
    }

    async fn selects(&self, change: &Change) -> Result<bool, AppError> {
        let ChangeFilter {
            namespace,
            spec,
            events,
        } = &self.filter;
        let name = &change.event.record.name;
        if spec.is_some_and(|spec| spec != change.id)
            || (!events.is_empty() && !events.iter().any(|event| event == name))
        {
            return Ok(false);
        }
        let Some(namespace) = namespace else {
            return Ok(true);
        };
        let spec = self.app.engine().load::<Spec>(&change.id).await?;
        Ok(spec.life().is_some_and(|life| life.namespace == *namespace))
    }
}
