//! The diagrams, in Mermaid.

use std::fmt::Write as _;

use super::{Catalog, Explored};

/// From commands over aggregates and events to who takes them.
pub fn flow(catalog: &Catalog) -> String {
    let mut flow = Flow::default();
    let mut text = "flowchart LR\n".to_owned();
    let aggregates: Vec<_> = catalog.aggregates.iter().collect();
    let events: Vec<&str> = aggregates
        .iter()
        .flat_map(|aggregate| aggregate.kinds.iter().map(|kind| kind.name))
        .collect();
    for (index, command) in catalog.commands.iter().enumerate() {
        flow.node(&format!("c{index}"), ["[", "]"], (command.name, "command"));
    }
    for (index, aggregate) in aggregates.iter().enumerate() {
        let name = (&*aggregate.name, "aggregate");
        flow.node(&format!("a{index}"), ["[[", "]]"], name);
    }
    for (index, event) in unique(&events).iter().enumerate() {
        flow.node(&format!("e{index}"), ["(", ")"], (event, "event"));
    }
    for (index, projection) in catalog.projections.iter().enumerate() {
        let name = (projection.name, "projection");
        flow.node(&format!("p{index}"), ["[(", ")]"], name);
    }
    for (index, manager) in catalog.process_managers.iter().enumerate() {
        let name = (manager.name, "process");
        flow.node(&format!("r{index}"), ["{{", "}}"], name);
    }
    edges(catalog, &unique(&events), &mut flow);
    text.push_str(&flow.nodes);
    text.push_str(&flow.edges);
    text.push_str(COLOURS);
    text
}

/// Those of event storming, with dark letters on them whatever the theme.
const COLOURS: &str = "    classDef command fill:#a7c7f2,stroke:#3b6ea5,color:#111
    classDef aggregate fill:#f7e58d,stroke:#a58b1f,color:#111
    classDef event fill:#f8b878,stroke:#b5651d,color:#111
    classDef projection fill:#b5dfb0,stroke:#4a8a45,color:#111
    classDef process fill:#d3b8e8,stroke:#7a4fa3,color:#111
";

fn edges(catalog: &Catalog, events: &[&str], flow: &mut Flow) {
    let place = |name: &str| events.iter().position(|event| *event == name);
    for (index, command) in catalog.commands.iter().enumerate() {
        for looked in &command.outline.aggregates {
            let mut aggregates = catalog.aggregates.iter();
            if let Some(target) = aggregates.position(|known| known.category == looked.category) {
                flow.edge(&format!("c{index}"), &format!("a{target}"));
            }
        }
    }
    for (index, aggregate) in catalog.aggregates.iter().enumerate() {
        for event in aggregate.kinds.iter().filter_map(|kind| place(kind.name)) {
            flow.edge(&format!("a{index}"), &format!("e{event}"));
        }
    }
    for (index, projection) in catalog.projections.iter().enumerate() {
        for event in projection.events.iter().filter_map(|name| place(name)) {
            flow.edge(&format!("e{event}"), &format!("p{index}"));
        }
    }
    for (index, manager) in catalog.process_managers.iter().enumerate() {
        for event in manager.events().filter_map(place) {
            flow.edge(&format!("e{event}"), &format!("r{index}"));
        }
        for name in &manager.commands {
            let mut commands = catalog.commands.iter();
            if let Some(command) = commands.position(|command| command.name == *name) {
                flow.edge(&format!("r{index}"), &format!("c{command}"));
            }
        }
    }
}

#[derive(Default)]
struct Flow {
    nodes: String,
    edges: String,
}

impl Flow {
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

/// The states of one aggregate.
pub fn states(explored: &Explored) -> String {
    let mut text = "stateDiagram-v2\n    direction LR\n".to_owned();
    let place = |label: &str| explored.states.iter().position(|state| state == label);
    for (index, state) in explored.states.iter().enumerate() {
        let _ = writeln!(text, "    state \"{}\" as s{index}", quoted(state));
    }
    text.push_str("    [*] --> s0\n");
    // Arrows between the same two states would be drawn over each other.
    let mut arrows: Vec<((usize, usize), Vec<&str>)> = Vec::new();
    for transition in &explored.transitions {
        let (Some(from), Some(to)) = (place(&transition.from), place(&transition.to)) else {
            continue;
        };
        let ends = (from, to);
        match arrows.iter_mut().find(|(known, _)| *known == ends) {
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

/// A text that ends neither its quotes nor its line, as Mermaid writes such characters.
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
