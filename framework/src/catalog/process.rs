//! [`Process`]: what reacts to events with commands and deadlines.

use crate::command::Command;
use crate::event_set::EventSet;

/// What reacts to events with commands and deadlines, as a catalog shows it.
///
/// ```
/// # use factum::prelude::*;
/// # #[derive(Event, Serialize, Deserialize, schemars::JsonSchema)]
/// # #[event(prefix = "order")]
/// # enum OrderEvent { Placed }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "order", id = u8, event = OrderEvent)]
/// # struct Order;
/// # impl Apply<OrderEvent> for Order { fn apply(&mut self, _: &OrderEvent) {} }
/// # #[derive(Command, Serialize, schemars::JsonSchema)]
/// # #[command(on = Order)]
/// # struct Cancel { #[id] order: u8 }
/// use factum::catalog::{Catalog, Process};
///
/// let payment = Process::new("payment")
///     .doc("Waits for the money, and cancels what is never paid.")
///     .takes::<OrderEvent>()
///     .sends::<Cancel>()
///     .deadline("overdue");
/// let catalog = Catalog::new("Shop").aggregate::<Order>().command::<Cancel>().process(payment);
/// assert!(catalog.to_markdown().contains("| `payment` |"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a process is shown by the catalog that takes it"]
pub struct Process {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) events: Vec<&'static str>,
    pub(crate) commands: Vec<&'static str>,
    pub(crate) deadlines: Vec<String>,
}

impl Process {
    /// A process of this name, which does nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            doc: String::new(),
            events: Vec::new(),
            commands: Vec::new(),
            deadlines: Vec::new(),
        }
    }

    /// What it is for.
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }

    /// It takes the events of this set.
    pub fn takes<S: EventSet>(mut self) -> Self {
        self.events.extend(S::names());
        self
    }

    /// It sends this command.
    pub fn sends<C: Command>(mut self) -> Self {
        self.commands.push(C::NAME);
        self
    }

    /// It sets a deadline of this name.
    pub fn deadline(mut self, name: impl Into<String>) -> Self {
        self.deadlines.push(name.into());
        self
    }
}
