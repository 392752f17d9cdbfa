//! [`RunningConsumer`]: a consumer of a runtime.

use crate::consumer::{ConsumerHandle, ConsumerTask};
use crate::process::DeliveryHandle;

/// The kind of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumerKind {
    /// A projection.
    Projection,
    /// A process manager.
    ProcessManager,
    /// An event handler.
    EventHandler,
}

impl ConsumerKind {
    /// Returns the kind in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Projection => "projection",
            Self::ProcessManager => "process manager",
            Self::EventHandler => "event handler",
        }
    }
}

/// A consumer of a runtime.
pub struct RunningConsumer {
    kind: ConsumerKind,
    /// The name that the application uses.
    name: String,
    task: ConsumerTask,
    deliveries: Option<DeliveryHandle>,
}

impl RunningConsumer {
    /// Creates a consumer from its task; a process manager has deliveries, too.
    pub fn new(
        kind: ConsumerKind,
        name: String,
        task: ConsumerTask,
        deliveries: Option<DeliveryHandle>,
    ) -> Self {
        Self {
            kind,
            name,
            task,
            deliveries,
        }
    }

    /// Returns whether it is the consumer of this kind and name.
    pub fn is(&self, kind: ConsumerKind, name: &str) -> bool {
        self.kind == kind && self.name == name
    }

    /// Returns the kind.
    pub fn kind(&self) -> ConsumerKind {
        self.kind
    }

    /// Returns the name that the application uses.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the handle of the consumer.
    pub fn handle(&self) -> &ConsumerHandle {
        self.task.handle()
    }

    /// Returns the handle of the commands of a process manager.
    pub fn deliveries(&self) -> Option<&DeliveryHandle> {
        self.deliveries.as_ref()
    }

    /// Returns its task.
    pub fn task(&self) -> &ConsumerTask {
        &self.task
    }
}
