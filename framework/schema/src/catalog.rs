#![doc = include_str!("catalog/catalog.md")]

mod asyncapi;
mod explore;
mod forms;
mod json;
pub mod kinds;
mod links;
mod markdown;
mod mermaid;
mod process_managers;
mod sections;
mod states;
mod survey;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::Boundary;
use factum_engine::command::Command;
use factum_engine::event::{Event, EventType};
use factum_engine::event_set::EventSet;
use factum_engine::process::ProcessManager;
use factum_engine::projection::Projection;

use process_managers::ProcessManagerEntry;

pub use process_managers::Listed;
#[doc(hidden)]
pub use process_managers::Taken;
pub use states::{Explored, States, Transition};
#[doc(hidden)]
pub use survey::Outline;
pub use survey::Surveyed;

/// A domain, as its types tell it: take in the types, then write the documents. An example stands at the
/// [module](self).
#[derive(Debug)]
#[must_use = "a catalog is written by `to_markdown`, `to_json_schema` or `to_asyncapi`"]
pub struct Catalog {
    name: String,
    about: String,
    version: String,
    aggregates: Vec<AggregateEntry>,
    commands: Vec<CommandEntry>,
    projections: Vec<ProjectionEntry>,
    process_managers: Vec<ProcessManagerEntry>,
    explored: Vec<Explored>,
}

#[derive(Debug)]
struct AggregateEntry {
    name: String,
    category: &'static str,
    doc: &'static str,
    kinds: &'static [EventType],
    schemas: fn(&mut SchemaGenerator) -> Vec<Value>,
}

#[derive(Debug)]
struct CommandEntry {
    name: &'static str,
    tags: &'static [&'static str],
    outline: Outline,
    schema: fn(&mut SchemaGenerator) -> Value,
}

#[derive(Debug)]
struct ProjectionEntry {
    name: &'static str,
    version: u32,
    doc: &'static str,
    events: Vec<&'static str>,
}

impl Catalog {
    /// The catalog of the domain `name`, with nothing in it yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            about: String::new(),
            version: "0".to_owned(),
            aggregates: Vec::new(),
            commands: Vec::new(),
            projections: Vec::new(),
            process_managers: Vec::new(),
            explored: Vec::new(),
        }
    }

    /// What the domain is about: Markdown, for the head of the documents.
    pub fn about(mut self, text: impl Into<String>) -> Self {
        self.about = text.into();
        self
    }

    /// The version of the documents, where a format asks for one; "0" otherwise.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Takes in an aggregate and its events.
    ///
    /// # Panics
    /// If the `JsonSchema` of the events was not derived, or not on the same type as `Deserialize`.
    pub fn aggregate<A: Aggregate>(mut self) -> Self
    where
        A::Event: JsonSchema,
    {
        let schemas = kinds::schemas::<A::Event>;
        // A schema that does not fit shows here, and not where the document is written.
        schemas(&mut SchemaGenerator::default());
        self.aggregates.push(AggregateEntry {
            name: rust_name::<A>(),
            category: A::CATEGORY,
            doc: A::DOC,
            kinds: A::Event::TYPES,
            schemas,
        });
        self
    }

    /// Takes in a command.
    pub fn command<C: Command + JsonSchema>(mut self) -> Self
    where
        <C::On as Boundary>::Shape: Surveyed,
    {
        let mut outline = Outline::default();
        <C::On as Boundary>::Shape::outline(&mut outline);
        self.commands.push(CommandEntry {
            name: C::NAME,
            tags: C::TAGS,
            outline,
            schema: |generator| {
                let schema = C::json_schema(generator).to_value();
                kinds::transformed(schema, generator)
            },
        });
        self
    }

    /// Takes in a projection.
    pub fn projection<P: Projection>(mut self) -> Self {
        self.projections.push(ProjectionEntry {
            name: P::NAME,
            version: P::VERSION,
            doc: P::DOC,
            events: P::Events::names(),
        });
        self
    }

    /// Takes in a process manager: what it is for, the events that it takes, the commands that it may send. Which
    /// deadlines it sets, no type tells; its documentation comment may.
    pub fn process_manager<P: ProcessManager>(mut self) -> Self
    where
        <P::Events as EventSet>::Each: Listed,
    {
        self.process_managers.push(ProcessManagerEntry::of::<P>());
        self
    }

    /// Explores the states of an aggregate, and takes in what was found.
    ///
    /// # Panics
    /// As [`States::explore`] does.
    #[expect(clippy::needless_pass_by_value, reason = "it is built in place")]
    pub fn states<A: Aggregate>(mut self, states: States<A>) -> Self {
        self.explored.push(states.explore());
        self
    }

    /// A document for people: Markdown, with diagrams in [Mermaid](https://mermaid.js.org), which GitHub, GitLab
    /// and many editors draw. The same catalog gives the same text.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown::write(self)
    }

    /// One JSON Schema (draft 2020-12) whose `$defs` hold `event.<stored name>`, `command.<name>`, and the
    /// types that these use; the document itself accepts the stored form of any event.
    #[must_use]
    pub fn to_json_schema(&self) -> Value {
        json::write(self)
    }

    /// An [AsyncAPI 3.0.0](https://www.asyncapi.com/docs/reference/specification/v3.0.0) document: a channel for
    /// each category of streams, a message for each event, what the aggregates send and what projections and
    /// process managers receive.
    #[must_use]
    pub fn to_asyncapi(&self) -> Value {
        asyncapi::write(self)
    }

    fn explored(&self, category: &str) -> Option<&Explored> {
        let mut explored = self.explored.iter();
        explored.find(|explored| explored.category == category)
    }

    /// Every event of every aggregate, in their order.
    fn events<'a>(&'a self, generator: &mut SchemaGenerator) -> Vec<EventEntry<'a>> {
        let mut events: Vec<EventEntry<'_>> = Vec::new();
        for aggregate in &self.aggregates {
            let schemas = (aggregate.schemas)(generator);
            for (kind, schema) in aggregate.kinds.iter().zip(schemas) {
                events.push(EventEntry {
                    aggregate,
                    kind,
                    schema,
                });
            }
        }
        events
    }
}

struct EventEntry<'a> {
    aggregate: &'a AggregateEntry,
    kind: &'a EventType,
    schema: Value,
}

/// What is written is documented, so that a field with a default is shown as one that is always there.
fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().for_serialize()
}

/// The name of a type without its path.
fn rust_name<T>() -> String {
    let full = std::any::type_name::<T>();
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path).to_owned()
}
