//! The diagrams of a catalog, in Mermaid.

use std::fmt::Write as _;

use super::model::DomainModel;
use super::state_graph::StateGraph;

/// Returns the flowchart from commands through aggregates and events to their consumers.
pub fn flowchart(model: &DomainModel) -> String {
    let mut flowchart = Flowchart::default();
    let event_types: Vec<&str> = model
        .aggregates
        .iter()
        .flat_map(|aggregate| {
            aggregate
                .event_types
                .iter()
                .map(|event_type| event_type.name)
        })
        .collect();
    let event_types = unique(&event_types);
    for (index, command) in model.commands.iter().enumerate() {
        flowchart.node(&format!("c{index}"), ["[", "]"], (command.name, "command"));
    }
    for (index, aggregate) in model.aggregates.iter().enumerate() {
        let name = (&*aggregate.name, "aggregate");
        flowchart.node(&format!("a{index}"), ["[[", "]]"], name);
    }
    for (index, event_type) in event_types.iter().enumerate() {
        flowchart.node(&format!("e{index}"), ["(", ")"], (event_type, "event"));
    }
    for (index, projection) in model.projections.iter().enumerate() {
        let name = (projection.name, "projection");
        flowchart.node(&format!("p{index}"), ["[(", ")]"], name);
    }
    for (index, manager) in model.process_managers.iter().enumerate() {
        let name = (manager.name, "process");
        flowchart.node(&format!("r{index}"), ["{{", "}}"], name);
    }
    add_edges(model, &event_types, &mut flowchart);
    let Flowchart { nodes, edges } = flowchart;
    format!("flowchart LR\n{nodes}{edges}{COLOURS}")
}

/// The colours of event storming, with dark text in every theme.
const COLOURS: &str = "    classDef command fill:#a7c7f2,stroke:#3b6ea5,color:#111
    classDef aggregate fill:#f7e58d,stroke:#a58b1f,color:#111
    classDef event fill:#f8b878,stroke:#b5651d,color:#111
    classDef projection fill:#b5dfb0,stroke:#4a8a45,color:#111
    classDef process fill:#d3b8e8,stroke:#7a4fa3,color:#111
";

fn add_edges(model: &DomainModel, event_types: &[&str], flowchart: &mut Flowchart) {
    let event_index = |name: &str| {
        event_types
            .iter()
            .position(|event_type| *event_type == name)
    };
    for (index, command) in model.commands.iter().enumerate() {
        for part in &command.boundary.aggregates {
            let mut aggregates = model.aggregates.iter();
            if let Some(target) = aggregates.position(|entry| entry.category == part.category) {
                flowchart.edge(&format!("c{index}"), &format!("a{target}"));
            }
        }
    }
    for (index, aggregate) in model.aggregates.iter().enumerate() {
        let names = aggregate
            .event_types
            .iter()
            .map(|event_type| event_type.name);
        for event in names.filter_map(event_index) {
            flowchart.edge(&format!("a{index}"), &format!("e{event}"));
        }
    }
    for (index, projection) in model.projections.iter().enumerate() {
        let names = projection.event_types.iter().copied();
        for event in names.filter_map(event_index) {
            flowchart.edge(&format!("e{event}"), &format!("p{index}"));
        }
    }
    for (index, manager) in model.process_managers.iter().enumerate() {
        for event in manager.event_types().filter_map(event_index) {
            flowchart.edge(&format!("e{event}"), &format!("r{index}"));
        }
        for name in &manager.commands {
            let mut commands = model.commands.iter();
            if let Some(command) = commands.position(|command| command.name == *name) {
                flowchart.edge(&format!("r{index}"), &format!("c{command}"));
            }
        }
    }
}

#[derive(Default)]
struct Flowchart {
    nodes: String,
    edges: String,
}

impl Flowchart {
    fn node(&mut self, id: &str, [open, close]: [&str; 2], (name, class): (&str, &str)) {
        let name = quoted(name);
        let _ = writeln!(self.nodes, "    {id}{open}\"{name}\"{close}:::{class}");
    }

    fn edge(&mut self, from: &str, to: &str) {
        let line = format!("    {from} --> {to}\n");
        if !self.edges.contains(&line) {
            self.edges.push_str(&line);
        }
    }
}

/// Returns the state diagram of one aggregate.
pub fn state_diagram(graph: &StateGraph) -> String {
    let mut text = "stateDiagram-v2\n    direction LR\n".to_owned();
    let index = |label: &str| graph.states.iter().position(|state| state == label);
    for (index, state) in graph.states.iter().enumerate() {
        let _ = writeln!(text, "    state \"{}\" as s{index}", quoted(state));
    }
    text.push_str("    [*] --> s0\n");
    // Mermaid would draw several arrows between the same two states over each other.
    let mut arrows: Vec<((usize, usize), Vec<&str>)> = Vec::new();
    for transition in &graph.transitions {
        let (Some(from), Some(to)) = (index(&transition.from), index(&transition.to)) else {
            continue;
        };
        let ends = (from, to);
        match arrows.iter_mut().find(|(other, _)| *other == ends) {
            Some((_, events)) if events.contains(&transition.event) => {}
            Some((_, events)) => events.push(transition.event),
            None => arrows.push((ends, vec![transition.event])),
        }
    }
    for ((from, to), events) in arrows {
        let events: Vec<_> = events.into_iter().map(quoted).collect();
        let _ = writeln!(text, "    s{from} --> s{to}: {}", events.join("<br/>"));
    }
    text
}

/// Escapes the characters that would end the quoted text or its line in Mermaid.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " ._-".contains(c);
    let mut quoted = String::new();
    for c in text.chars() {
        if plain(c) {
            quoted.push(c);
        } else {
            let _ = write!(quoted, "#{};", u32::from(c));
        }
    }
    quoted
}

fn unique<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut unique: Vec<&str> = Vec::new();
    for name in names {
        if !unique.contains(name) {
            unique.push(name);
        }
    }
    unique
}
