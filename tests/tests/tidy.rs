//! The architecture: arrows between crates point one way, the domain stays pure, files and functions
//! stay small, and a module lies where its name says.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

const MAX_LINES: usize = 400;
const MAX_FUNCTION: usize = 60;
const MAX_DEPTH: usize = 2;
const GENERATED: &str = "spec-service/src/grpc/generated.rs";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn packages() -> Vec<Package> {
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec();
    metadata.unwrap().packages
}

/// What a package depends on, leaving out what only its tests need.
fn dependencies(package: &Package) -> impl Iterator<Item = String> + '_ {
    let normal = package
        .dependencies
        .iter()
        .filter(|d| d.kind == DependencyKind::Normal);
    normal.map(|d| d.name.clone())
}

/// Which crates of the workspace each one depends on.
fn arrows() -> HashMap<String, Vec<String>> {
    let packages = packages();
    let ours: Vec<String> = packages.iter().map(|p| p.name.to_string()).collect();
    let arrows = packages.iter().map(|package| {
        let inside = dependencies(package).filter(|name| ours.contains(name));
        (package.name.to_string(), inside.collect())
    });
    arrows.collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "no sources below {folder}");
    found
}

#[test]
fn arrows_between_crates_point_one_way() {
    let arrows = arrows();
    assert_eq!(arrows["factum"], ["factum-macros"]);
    assert!(arrows["factum-macros"].is_empty());
    let adapters = packages();
    let adapters = adapters
        .iter()
        .filter(|p| p.manifest_path.as_str().contains("/adapters/"));
    let adapters: Vec<&str> = adapters.map(|p| p.name.as_str()).collect();
    for known in ["factum-memory", "factum-sqlite"] {
        assert!(adapters.contains(&known), "{known} is not in adapters/");
    }
    for adapter in adapters {
        assert_eq!(arrows[adapter], ["factum"], "{adapter}");
    }
    for (package, to) in &arrows {
        for leaf in ["factum-tests", "factum-examples"] {
            assert!(
                !to.iter().any(|name| name == leaf),
                "{package} depends on the leaf {leaf}"
            );
        }
    }
}

#[test]
fn the_domain_of_the_service_knows_no_runtime_no_sql_and_no_http() {
    let mut files = sources_below("spec-service/src/domain");
    files.push(root().join("spec-service/src/domain.rs"));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for stranger in [
            "tokio::",
            "sqlx::",
            "axum::",
            "tonic::",
            "http::",
            "factum_sqlite",
        ] {
            assert!(
                !text.contains(stranger),
                "{} names {stranger}",
                file.display()
            );
        }
    }
}

#[test]
fn the_framework_knows_no_database_and_no_http() {
    let packages = packages();
    for package in packages
        .iter()
        .filter(|p| ["factum", "factum-macros"].contains(&p.name.as_str()))
    {
        let strangers = [
            "sqlx", "rusqlite", "axum", "hyper", "http", "tonic", "prost", "reqwest",
        ];
        for dependency in dependencies(package) {
            assert!(
                !strangers.contains(&&*dependency),
                "{} depends on {dependency}",
                package.name
            );
        }
    }
}

#[test]
fn the_service_names_adapters_in_one_file_at_most() {
    let names_an_adapter = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        ["factum_memory", "factum_sqlite", "factum_postgres"]
            .iter()
            .any(|adapter| text.contains(adapter))
    };
    let files: Vec<_> = sources_below("spec-service/src")
        .into_iter()
        .filter(names_an_adapter)
        .collect();
    assert!(files.len() <= 1, "adapters are named in {files:?}");
}

#[test]
fn no_file_is_longer_than_the_budget() {
    for file in sources_below("") {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let allowed = lines <= MAX_LINES || file.ends_with(GENERATED);
        assert!(
            allowed,
            "{} has {lines} lines, the budget is {MAX_LINES}",
            file.display()
        );
    }
}

#[test]
fn no_function_is_longer_than_the_budget() {
    let mut too_long = Vec::new();
    for file in sources_below("") {
        if file.ends_with(GENERATED) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut functions = Functions::default();
        functions.visit_file(&parsed);
        let long = functions
            .0
            .into_iter()
            .filter(|(_, lines)| *lines > MAX_FUNCTION);
        too_long
            .extend(long.map(|(name, lines)| format!("{}: {name}, {lines} lines", file.display())));
    }
    assert!(
        too_long.is_empty(),
        "over the budget of {MAX_FUNCTION} lines:\n{}",
        too_long.join("\n")
    );
}

#[test]
fn no_code_is_unsafe() {
    let mut trusted = Vec::new();
    for file in sources_below("") {
        let text = fs::read_to_string(&file).unwrap();
        let count = unsafes(text.parse().unwrap());
        if count > 0 {
            let file = file.strip_prefix(root()).unwrap().to_owned();
            trusted.push((file, count));
        }
    }
    assert_eq!(trusted, []);
}

/// How often it is written, in macros as well.
fn unsafes(tokens: TokenStream) -> usize {
    let count = |token| match token {
        TokenTree::Group(group) => unsafes(group.stream()),
        TokenTree::Ident(word) => usize::from(word == "unsafe" || word == "unsafe_code"),
        TokenTree::Punct(_) | TokenTree::Literal(_) => 0,
    };
    tokens.into_iter().map(count).sum()
}

/// Names and lengths of all functions with a body, those inside others included.
#[derive(Default)]
struct Functions(Vec<(String, usize)>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, body: Span) {
        let lines = body.end().line + 1 - signature.span().start().line;
        self.0.push((signature.ident.to_string(), lines));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, function.block.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, function.block.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body.span());
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[test]
fn modules_lie_two_levels_below_src_at_most_and_beside_their_parent() {
    for file in sources_below("") {
        let path = file.strip_prefix(root()).unwrap();
        assert!(
            !path.ends_with("mod.rs"),
            "write {}.rs",
            path.parent().unwrap().display()
        );
        let below_src = path.iter().skip_while(|part| *part != "src").skip(1);
        let depth = below_src.count();
        assert!(
            depth <= MAX_DEPTH,
            "{} lies {depth} levels below src, the budget is {MAX_DEPTH}",
            path.display()
        );
    }
}

#[test]
fn a_program_on_the_store_in_memory_needs_few_crates() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "factum-memory", "--prefix", "none"])
        .args(["--edges", "normal,build", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    assert!(tree.starts_with("factum-memory "), "{tree}");
    // With the program itself, 40.
    assert!(crates.len() <= 39, "{}: {crates:#?}", crates.len());
}
