//! From a name to the section about it, on the same page.

use super::Catalog;
use super::forms::{anchor, cell};

/// `a`, `b`, each leading to its section, if there is one.
pub fn events<'a>(catalog: &Catalog, names: impl IntoIterator<Item = &'a str>) -> String {
    let is_there = |name: &str| {
        let mut kinds = catalog.aggregates.iter().flat_map(|known| known.kinds);
        kinds.any(|kind| kind.name == name)
    };
    joined(names, is_there)
}

/// Likewise for commands. One that has its name from an aggregate leads nowhere: its heading has another anchor.
pub fn commands<'a>(catalog: &Catalog, names: impl IntoIterator<Item = &'a str>) -> String {
    let is_there = |name: &str| {
        let mut aggregates = catalog.aggregates.iter();
        let is_taken = aggregates.any(|aggregate| anchor(&aggregate.name) == anchor(name));
        let mut commands = catalog.commands.iter();
        !is_taken && commands.any(|command| command.name == name)
    };
    joined(names, is_there)
}

fn joined<'a>(names: impl IntoIterator<Item = &'a str>, is_there: impl Fn(&str) -> bool) -> String {
    let names = names.into_iter().map(|name| match is_there(name) {
        true => format!("[`{}`](#{})", cell(name), anchor(name)),
        false => format!("`{}`", cell(name)),
    });
    names.collect::<Vec<_>>().join(", ")
}
