#![doc = include_str!("catalog/catalog.md")]

mod asyncapi;
mod describe_events;
mod describe_shape;
mod exploration;
mod json_schema;
mod links;
mod markdown;
mod markdown_page;
mod mermaid;
mod model;
mod schema_text;
mod sections;
mod state_graph;
mod states;
mod type_name;

use std::collections::HashMap;

use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::Boundary;
use factum_engine::command::Command;
use factum_engine::event_set::EventSet;
use factum_engine::process::ProcessManager;
use factum_engine::projection::Projection;
use schemars::JsonSchema;
use serde_json::Value;

use crate::stored_names::KnownEvents;
use model::{AggregateEntry, CommandEntry, DomainModel, ProcessManagerEntry, ProjectionEntry};

pub use describe_events::DescribeEvents;
#[doc(hidden)]
pub use describe_events::EventGroup;
pub use describe_shape::DescribeShape;
#[doc(hidden)]
pub use describe_shape::{BoundaryAggregate, BoundaryDescription};
pub use state_graph::{StateGraph, Transition};
pub use states::States;

/// A catalog of a domain: add the types of the domain, then write a document.
///
/// The [module](self) contains an example.
#[derive(Debug)]
#[must_use = "a catalog is written by `to_markdown`, `to_json_schema` or `to_asyncapi`"]
pub struct Catalog {
    model: DomainModel,
    /// The stored names of the events, which must be distinct.
    known_events: KnownEvents,
    /// The names of commands, projections and process managers, with their Rust types.
    names: HashMap<(&'static str, &'static str), &'static str>,
}

impl Catalog {
    /// Creates an empty catalog of the domain `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            model: DomainModel {
                name: name.into(),
                about: String::new(),
                version: "0".to_owned(),
                aggregates: Vec::new(),
                commands: Vec::new(),
                projections: Vec::new(),
                process_managers: Vec::new(),
                state_graphs: Vec::new(),
            },
            known_events: KnownEvents::default(),
            names: HashMap::new(),
        }
    }

    /// Sets the description of the domain, a Markdown text for the start of the documents.
    pub fn about(mut self, text: impl Into<String>) -> Self {
        self.model.about = text.into();
        self
    }

    /// Sets the version of the documents, which some formats require; the default is "0".
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.model.version = version.into();
        self
    }

    /// Adds an aggregate and its events.
    ///
    /// # Panics
    /// Panics if the `JsonSchema` of the events was not derived, or not for the type that implements `Deserialize`. Panics
    /// if the events of another aggregate have the same event type, alias or legacy event type.
    #[track_caller]
    pub fn aggregate<A: Aggregate>(mut self) -> Self
    where
        A::Event: JsonSchema,
    {
        self.known_events.add::<A::Event>();
        self.model.aggregates.push(AggregateEntry::of::<A>());
        self
    }

    /// Adds a command.
    ///
    /// # Panics
    /// Panics if another command has the same name.
    #[track_caller]
    pub fn command<C: Command + JsonSchema>(mut self) -> Self
    where
        <C::On as Boundary>::Shape: DescribeShape,
    {
        self.add_name::<C>("command", C::NAME);
        self.model.commands.push(CommandEntry::of::<C>());
        self
    }

    /// Adds a projection.
    ///
    /// # Panics
    /// Panics if another projection has the same name.
    #[track_caller]
    pub fn projection<P: Projection>(mut self) -> Self {
        self.add_name::<P>("projection", P::NAME);
        self.model.projections.push(ProjectionEntry::of::<P>());
        self
    }

    /// Adds a process manager: its purpose, the events that it handles, and the commands that it may send.
    ///
    /// The deadlines of a process manager are not part of its type. Mention them in its documentation comment.
    ///
    /// # Panics
    /// Panics if another process manager has the same name.
    #[track_caller]
    pub fn process_manager<P: ProcessManager>(mut self) -> Self
    where
        <P::Events as EventSet>::Each: DescribeEvents,
    {
        self.add_name::<P>("process manager", P::NAME);
        let entry = ProcessManagerEntry::of::<P>();
        self.model.process_managers.push(entry);
        self
    }

    /// Explores the states of an aggregate, and adds the result.
    ///
    /// # Panics
    /// Panics under the same conditions as [`States::explore`].
    #[expect(clippy::needless_pass_by_value, reason = "it is built in place")]
    pub fn states<A: Aggregate>(mut self, states: States<A>) -> Self {
        self.model.state_graphs.push(states.explore());
        self
    }

    #[track_caller]
    fn add_name<T>(&mut self, kind: &'static str, name: &'static str) {
        let rust_type = std::any::type_name::<T>();
        if let Some(other) = self.names.insert((kind, name), rust_type)
            && other != rust_type
        {
            panic!("two {kind}s have the name {name:?}: {other} and {rust_type}; rename one");
        }
    }

    /// Returns a Markdown document with [Mermaid](https://mermaid.js.org) diagrams, for human readers.
    ///
    /// GitHub, GitLab and many editors render the diagrams. The same catalog always returns the same text.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown::render(&self.model)
    }

    /// Returns a JSON Schema (draft 2020-12) that accepts the stored JSON of any event.
    ///
    /// Its `$defs` contain `event.<event type>`, `command.<name>`, and the types that these use.
    #[must_use]
    pub fn to_json_schema(&self) -> Value {
        json_schema::render(&self.model)
    }

    /// Returns an [AsyncAPI 3.0.0](https://www.asyncapi.com/docs/reference/specification/v3.0.0) document.
    ///
    /// It contains a channel for each category of streams, a message for each event type, a send operation for each
    /// aggregate, and a receive operation for each projection and process manager.
    #[must_use]
    pub fn to_asyncapi(&self) -> Value {
        asyncapi::render(&self.model)
    }
}
