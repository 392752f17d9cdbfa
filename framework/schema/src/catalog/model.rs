//! [`DomainModel`]: the content of a catalog, which the renderers read.

use factum_engine::command::Command;
use factum_engine::event::{Event, EventType};
use factum_engine::event_set::EventSet;
use factum_engine::process::{CommandSet as _, ProcessManager};
use factum_engine::projection::Projection;
use factum_engine::{aggregate::Aggregate, boundary::Boundary};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::describe_events::{DescribeEvents, EventGroup};
use super::describe_shape::{BoundaryDescription, DescribeShape};
use super::state_graph::StateGraph;
use super::type_name::type_name;
use crate::event_schemas::{apply_transforms, event_schemas};

/// The types of a domain, in the order in which they were added.
#[derive(Debug)]
pub struct DomainModel {
    pub name: String,
    pub about: String,
    pub version: String,
    pub aggregates: Vec<AggregateEntry>,
    pub commands: Vec<CommandEntry>,
    pub projections: Vec<ProjectionEntry>,
    pub process_managers: Vec<ProcessManagerEntry>,
    pub state_graphs: Vec<StateGraph>,
}

#[derive(Debug)]
pub struct AggregateEntry {
    pub name: String,
    pub category: &'static str,
    pub doc: &'static str,
    pub event_types: &'static [EventType],
    schemas: fn(&mut SchemaGenerator) -> Vec<Value>,
}

#[derive(Debug)]
pub struct CommandEntry {
    pub name: &'static str,
    pub tags: &'static [&'static str],
    pub boundary: BoundaryDescription,
    schema: fn(&mut SchemaGenerator) -> Value,
}

#[derive(Debug)]
pub struct ProjectionEntry {
    pub name: &'static str,
    pub version: u32,
    pub doc: &'static str,
    pub event_types: Vec<&'static str>,
}

#[derive(Debug)]
pub struct ProcessManagerEntry {
    pub name: &'static str,
    pub version: u32,
    pub doc: &'static str,
    pub event_groups: Vec<EventGroup>,
    pub commands: Vec<&'static str>,
}

/// An event type of an aggregate, with its JSON schema.
pub struct EventEntry<'a> {
    pub aggregate: &'a AggregateEntry,
    pub event_type: &'a EventType,
    pub schema: Value,
}

impl DomainModel {
    pub fn state_graph(&self, category: &str) -> Option<&StateGraph> {
        let mut graphs = self.state_graphs.iter();
        graphs.find(|graph| graph.category == category)
    }

    /// Returns the event types of all aggregates, in order.
    pub fn events(&self, generator: &mut SchemaGenerator) -> Vec<EventEntry<'_>> {
        let mut events: Vec<EventEntry<'_>> = Vec::new();
        for aggregate in &self.aggregates {
            let schemas = (aggregate.schemas)(generator);
            for (event_type, schema) in aggregate.event_types.iter().zip(schemas) {
                events.push(EventEntry {
                    aggregate,
                    event_type,
                    schema,
                });
            }
        }
        events
    }
}

impl AggregateEntry {
    /// Describes an aggregate.
    ///
    /// # Panics
    /// Panics if the `JsonSchema` of the events does not match their `Deserialize`.
    pub fn of<A: Aggregate>() -> Self
    where
        A::Event: JsonSchema,
    {
        let schemas = event_schemas::<A::Event>;
        // A schema that does not match panics here, not when the document is written.
        schemas(&mut SchemaGenerator::default());
        Self {
            name: type_name::<A>(),
            category: A::CATEGORY,
            doc: A::DOC,
            event_types: A::Event::TYPES,
            schemas,
        }
    }
}

impl CommandEntry {
    pub fn of<C: Command + JsonSchema>() -> Self
    where
        <C::On as Boundary>::Shape: DescribeShape,
    {
        let mut boundary = BoundaryDescription::default();
        <C::On as Boundary>::Shape::describe(&mut boundary);
        Self {
            name: C::NAME,
            tags: C::TAGS,
            boundary,
            schema: |generator| {
                let schema = C::json_schema(generator).to_value();
                apply_transforms(schema, generator)
            },
        }
    }

    pub fn schema(&self, generator: &mut SchemaGenerator) -> Value {
        (self.schema)(generator)
    }
}

impl ProjectionEntry {
    pub fn of<P: Projection>() -> Self {
        Self {
            name: P::NAME,
            version: P::VERSION,
            doc: P::DOC,
            event_types: P::Events::names(),
        }
    }

    pub fn handles(&self, event_type: &str) -> bool {
        self.event_types.contains(&event_type)
    }
}

impl ProcessManagerEntry {
    pub fn of<P: ProcessManager>() -> Self
    where
        <P::Events as EventSet>::Each: DescribeEvents,
    {
        let mut event_groups = Vec::new();
        <P::Events as EventSet>::Each::describe(&mut event_groups);
        let routes = P::Commands::routes().into_iter();
        Self {
            name: P::NAME,
            version: P::VERSION,
            doc: P::DOC,
            event_groups,
            commands: routes.map(|route| route.name).collect(),
        }
    }

    pub fn event_types(&self) -> impl Iterator<Item = &'static str> {
        let event_types = self.event_groups.iter().flat_map(|group| group.event_types);
        event_types.map(|event_type| event_type.name)
    }

    pub fn handles(&self, event_type: &str) -> bool {
        self.event_types().any(|name| name == event_type)
    }
}

/// Returns the settings for schemas of serialized data.
///
/// In serialized data, a field with a default is always present.
pub fn schema_settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().for_serialize()
}
