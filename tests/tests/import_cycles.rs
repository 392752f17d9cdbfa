//! No two files of a crate import each other, directly or through other files.
//!
//! A file imports another one if it names an item that is defined there, in a `use` or in a path. A re-export is followed
//! to the definition, and does not count as an import: a module may re-export the items of its children, which import each other
//! through it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

#[path = "support/module_graph.rs"]
mod module_graph;
#[path = "support/sources.rs"]
mod sources;

use module_graph::ModuleGraph;

const CRATES: [&str; 17] = [
    "framework",
    "framework/core",
    "framework/engine",
    "framework/runtime",
    "framework/sql",
    "framework/privacy",
    "framework/schema",
    "framework/server",
    "framework/testkit",
    "framework-macros",
    "adapters/memory",
    "adapters/sqlite",
    "adapters/postgres",
    "event-store",
    "sdks/rust",
    "spec-service",
    "tests",
];

#[test]
fn files_do_not_import_each_other() {
    for package in CRATES {
        let graph = ModuleGraph::of_crate(&sources::root().join(package).join("src/lib.rs"));
        let cycles = graph.cycles();
        assert!(cycles.is_empty(), "{package}: import cycles {cycles:#?}");
    }
}

#[test]
fn import_cycle_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod a; mod b; mod c; pub use a::A; pub use c::C;");
    write("a.rs", "use crate::b::B; pub struct A(B);");
    write("b.rs", "pub struct B; fn f() { crate::C::new(); }");
    write("c.rs", "pub struct C; impl C { pub fn new() {} }");
    let lib = folder.path().join("lib.rs");
    assert_eq!(ModuleGraph::of_crate(&lib).cycles(), Vec::<String>::new());
    // Through a re-export of the root, and through a path in a function.
    write(
        "c.rs",
        "pub struct C; impl C { pub fn new() { super::A::default(); } }",
    );
    let expected = [
        "a -> b: crate::b::B",
        "b -> c: crate::C::new",
        "c -> a: super::A::default",
    ];
    assert_eq!(ModuleGraph::of_crate(&lib).cycles(), expected);
}
