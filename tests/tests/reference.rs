//! The reference pages of the book list what the code has: attributes, settings, errors, limits, tables, features.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the texts has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, ImplItem, Item, ReturnType, Type, Visibility};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page(name: &str) -> String {
    read(format!("docs/src/reference/{name}.md"))
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found
}

/// All items of the published library crates, without test modules.
fn library_items() -> Vec<Item> {
    let folders = [
        "framework/core/src",
        "framework/engine/src",
        "framework/runtime/src",
        "framework/sql/src",
        "framework/privacy/src",
        "framework/schema/src",
        "adapters/sqlite/src",
        "adapters/postgres/src",
    ];
    let files = folders.into_iter().flat_map(rust_files);
    files
        .flat_map(|file| syn::parse_file(&read(file)).unwrap().items)
        .collect()
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    let text = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    };
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("doc") && text(attribute) == "hidden")
}

/// The cells of the first column of the table under a heading, without the head of the table.
fn first_cells<'p>(page: &'p str, heading: &str) -> Vec<&'p str> {
    let section = page.split(heading).nth(1);
    let section = section.unwrap_or_else(|| panic!("no heading {heading:?}"));
    let table = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = table.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.split('|').nth(1).unwrap().trim())
        .collect()
}

#[test]
fn attributes_page_has_the_tables_of_the_derives() {
    let page = page("attributes");
    let derives = read("framework-macros/src/lib.rs");
    let rows = derives.lines().filter_map(|line| line.strip_prefix("/// "));
    let mut count = 0;
    for row in rows.filter(|row| row.starts_with('|') && !row.starts_with("|---")) {
        assert!(page.contains(row), "the page does not have this row: {row}");
        count += 1;
    }
    assert!(count > 30, "the derives document only {count} rows");
}

#[test]
fn errors_page_lists_every_variant() {
    let page = page("errors");
    // Errors that are details of a documented error, or that no caller receives.
    let details = [
        "InvalidDocumentChanges",
        "ReactionError",
        "DispatchError",
        "InlineError",
        "BackendError",
        "SnapshotEncodeError",
    ];
    let mut missing = Vec::new();
    let mut count = 0;
    for item in library_items() {
        let Item::Enum(item) = item else { continue };
        let name = item.ident.to_string();
        let is_error =
            name.ends_with("Error") || name.ends_with("ErrorKind") || name.starts_with("Invalid");
        let is_public = matches!(item.vis, Visibility::Public(_)) && !is_hidden(&item.attrs);
        if !is_error || !is_public || details.contains(&&*name) {
            continue;
        }
        let heading = match &*name {
            "DecodeErrorKind" => "`DecodeError`".to_owned(),
            name => format!("`{name}`"),
        };
        let headings = page.lines().filter(|line| line.starts_with('#'));
        let Some(heading) = headings.into_iter().find(|line| line.contains(&heading)) else {
            missing.push(name);
            continue;
        };
        let listed: BTreeSet<_> = first_cells(&page, heading).into_iter().collect();
        for variant in &item.variants {
            if !listed.contains(&*format!("`{}`", variant.ident)) {
                missing.push(format!("{name}::{}", variant.ident));
            }
        }
        for cell in &listed {
            let is_variant = |variant: &syn::Variant| **cell == format!("`{}`", variant.ident);
            assert!(
                item.variants.iter().any(is_variant),
                "{name} has no variant {cell}"
            );
        }
        count += 1;
    }
    assert!(missing.is_empty(), "the page does not list: {missing:#?}");
    assert!(count > 10, "only {count} errors were found");
}

/// Returns the names of the variants of the public enum `name`.
fn variants(items: &[Item], name: &str) -> BTreeSet<String> {
    let is_it = |item: &&Item| matches!(item, Item::Enum(item) if item.ident == name);
    let Some(Item::Enum(item)) = items.iter().find(is_it) else {
        panic!("there is no enum {name}");
    };
    let names = item.variants.iter();
    names.map(|variant| variant.ident.to_string()).collect()
}

#[test]
fn http_table_has_a_row_for_every_variant() {
    let page = page("errors");
    let items = library_items();
    let rows: Vec<_> = first_cells(&page, "## HTTP status")
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut expected = BTreeSet::new();
    for name in [
        "ExecuteError",
        "ExecuteAndWaitError",
        "LoadError",
        "AppendError",
        "InvalidAppend",
        "StoreError",
    ] {
        let variants = variants(&items, name).into_iter();
        expected.extend(variants.map(|variant| format!("`{name}::{variant}`")));
    }
    let listed: BTreeSet<_> = rows.iter().cloned().collect();
    assert_eq!(listed, expected);
    assert_eq!(rows.len(), expected.len(), "a variant has two rows");
}

#[test]
fn monitoring_page_lists_every_state() {
    let page = read("docs/src/operations/monitoring.md");
    let items = library_items();
    let states = variants(&items, "ConsumerState").into_iter();
    let expected: BTreeSet<_> = states.map(|state| format!("`{state}`")).collect();
    let listed = first_cells(&page, "### States").into_iter();
    let listed: BTreeSet<_> = listed.map(str::to_owned).collect();
    assert_eq!(listed, expected);
}

/// Returns the names of the public methods of `builder` that return `Self`.
fn setters(items: &[Item], builder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in items {
        let Item::Impl(block) = item else { continue };
        let Type::Path(of) = &*block.self_ty else {
            continue;
        };
        if block.trait_.is_some() || of.path.segments.last().unwrap().ident != builder {
            continue;
        }
        for item in &block.items {
            let ImplItem::Fn(method) = item else { continue };
            let takes_self = method.sig.receiver().is_some();
            let returns_self = match &method.sig.output {
                ReturnType::Type(_, output) => {
                    matches!(&**output, Type::Path(path) if path.path.is_ident("Self"))
                }
                ReturnType::Default => false,
            };
            let is_public = matches!(method.vis, Visibility::Public(_));
            if takes_self && returns_self && is_public && !is_hidden(&method.attrs) {
                found.insert(method.sig.ident.to_string());
            }
        }
    }
    assert!(!found.is_empty(), "{builder} has no settings");
    found
}

#[test]
fn configuration_page_lists_every_setting() {
    let page = page("configuration");
    let items = library_items();
    let sections = [
        ("## Engine", "EngineBuilder"),
        ("## One command", "Execute"),
        ("## Runtime", "RuntimeBuilder"),
        ("## SQLite", "SqliteOptions"),
        ("## PostgreSQL", "PostgresOptions"),
    ];
    for (heading, builder) in sections {
        let cells = first_cells(&page, heading).join(" ");
        let listed: BTreeSet<&str> = cells.split('`').skip(1).step_by(2).collect();
        for setting in setters(&items, builder) {
            assert!(
                listed.contains(&*setting),
                "{heading} does not list {setting} of {builder}"
            );
        }
    }
    for options in ["HandlerOptions", "ProcessOptions"] {
        for setting in setters(&items, options) {
            let row = page
                .lines()
                .find(|line| line.contains(&format!("`{options}`")) && line.contains(&setting));
            assert!(row.is_some(), "no row for {setting} of {options}");
        }
    }
}

#[test]
fn limits_page_lists_every_constant_with_its_value() {
    let page = page("limits");
    let mut count = 0;
    for item in library_items() {
        let Item::Const(item) = item else { continue };
        let name = item.ident.to_string();
        let is_public = matches!(item.vis, Visibility::Public(_)) && !is_hidden(&item.attrs);
        if !name.starts_with("MAX_") || !is_public {
            continue;
        }
        let Some(value) = value_of(&item.expr) else {
            continue;
        };
        let row = format!("| `{name}` | {value} |");
        assert!(
            page.contains(&row),
            "the page does not have this row: {row}"
        );
        count += 1;
    }
    assert!(count > 5, "only {count} limits were found");
}

/// Returns the value of a product of integers.
fn value_of(expression: &syn::Expr) -> Option<u64> {
    match expression {
        syn::Expr::Lit(literal) => match &literal.lit {
            syn::Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        syn::Expr::Binary(product) if matches!(product.op, syn::BinOp::Mul(_)) => {
            Some(value_of(&product.left)? * value_of(&product.right)?)
        }
        _ => None,
    }
}

#[test]
fn service_page_lists_every_setting() {
    let page = read("docs/src/spec-service/overview.md");
    let settings = read("spec-service/src/settings.rs");
    let names = settings.split("env = \"").skip(1);
    let names: Vec<&str> = names.map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "no row for {name}");
    }
}

#[test]
fn readme_repeats_guarantees_and_figures_of_the_book() {
    let readme = read("README.md");
    let section = |heading: &str| {
        let section = readme.split(heading).nth(1).unwrap();
        section.split("\n## ").next().unwrap().to_owned()
    };
    let bullets = section("## Guarantees\n");
    let bullets = bullets.lines().filter(|line| line.starts_with("- **"));
    let guarantees = read("docs/src/project/guarantees.md");
    let numbered = |line: &&str| line.starts_with("## ") && line.contains(". ");
    let guarantees = guarantees.lines().filter(numbered);
    assert_eq!(bullets.count(), guarantees.count());

    let measured = read("docs/src/project/benchmarks.md");
    for text in [
        section("## Speed\n"),
        read("docs/src/project/comparison.md"),
    ] {
        let rows = text.lines().filter(|line| line.starts_with("| "));
        let cells = rows.flat_map(|row| row.split('|').map(str::trim));
        let is_figure = |cell: &&str| cell.contains(',') && cell.starts_with(char::is_numeric);
        let figures: Vec<&str> = cells.filter(is_figure).collect();
        assert!(!figures.is_empty(), "no figures");
        for figure in figures {
            let found = [
                format!("| {figure} ("),
                format!(" {figure} |"),
                format!("| {figure} |"),
            ];
            assert!(
                found.iter().any(|cell| measured.contains(cell)),
                "{figure} is not among the measurements"
            );
        }
    }
}

#[test]
fn storage_schema_page_has_the_migrations() {
    let page = page("storage-schema");
    for migration in [
        "adapters/sqlite/src/migrations/1.sql",
        "adapters/sqlite/src/migrations/2.sql",
        "adapters/postgres/src/migrations/1.sql",
        "adapters/postgres/src/migrations/2.sql",
    ] {
        let block = format!("```sql\n{}\n```", read(migration).trim_end());
        assert!(
            page.contains(&block),
            "the page does not contain {migration}"
        );
    }
}

#[test]
fn features_page_lists_every_feature() {
    let page = page("features");
    let crates = [
        ("factum", "framework"),
        ("factum-memory", "adapters/memory"),
        ("factum-sqlite", "adapters/sqlite"),
        ("factum-postgres", "adapters/postgres"),
        ("factum-grpc", "adapters/grpc"),
        ("factum-testkit", "framework/testkit"),
        ("factum-store-client", "sdks/rust"),
    ];
    for (name, folder) in crates {
        let manifest = read(format!("{folder}/Cargo.toml"));
        let features = manifest.split("[features]").nth(1).unwrap();
        let features = features.split("\n[").next().unwrap();
        let features = features.lines().filter_map(|line| line.split_once(" = "));
        let is_listed = |name: &str| !name.starts_with('#') && name != "default";
        for (feature, _) in features.filter(|(name, _)| is_listed(name)) {
            let row = format!("| `{name}` | `{feature}` |");
            assert!(
                page.contains(&row),
                "the page does not have this row: {row}"
            );
        }
    }
    let rust = read("Cargo.toml");
    let rust = rust.split("rust-version = \"").nth(1).unwrap();
    let rust = rust.split('"').next().unwrap();
    for text in [page, read("docs/src/project/stability.md")] {
        assert!(
            text.contains(&format!("Rust {rust}")),
            "the version of Rust"
        );
    }
}
