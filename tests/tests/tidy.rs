//! Rules of the architecture: dependencies between crates, the purity of the domain, unsafe code, and the layout of
//! modules.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use proc_macro2::{TokenStream, TokenTree};

/// The only file with unsafe code: two drivers share one SQLite handle.
const UNSAFE: &str = "adapters/sqlite/src/pair.rs";

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
fn crate_dependencies_follow_the_layers() {
    let arrows = arrows();
    let allowed = [
        ("factum-macros", vec![]),
        ("factum-core", vec![]),
        ("factum-engine", vec!["factum-core"]),
        ("factum-runtime", vec!["factum-core", "factum-engine"]),
        (
            "factum-privacy",
            vec!["factum-core", "factum-engine", "factum-runtime"],
        ),
        ("factum-schema", vec!["factum-core", "factum-engine"]),
        (
            "factum",
            vec![
                "factum-core",
                "factum-engine",
                "factum-macros",
                "factum-privacy",
                "factum-runtime",
                "factum-schema",
            ],
        ),
    ];
    for (package, allowed) in allowed {
        for to in &arrows[package] {
            assert!(
                allowed.contains(&&**to),
                "{package} must not depend on {to}"
            );
        }
    }
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
fn service_domain_has_no_runtime_sql_or_http() {
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
fn framework_has_no_database_or_http() {
    let packages = packages();
    for package in packages
        .iter()
        .filter(|p| p.manifest_path.as_str().contains("/framework"))
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
fn service_names_adapters_in_one_file() {
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
fn unsafe_code_is_in_one_file() {
    let mut trusted = Vec::new();
    for file in sources_below("") {
        let text = fs::read_to_string(&file).unwrap();
        let count = unsafes(text.parse().unwrap());
        if count > 0 {
            let file = file.strip_prefix(root()).unwrap().to_owned();
            trusted.push((file, count));
        }
    }
    // The word, and the lint that is told to expect it.
    assert_eq!(trusted, [(PathBuf::from(UNSAFE), 2)]);
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

#[test]
fn modules_are_beside_their_folders() {
    for file in sources_below("") {
        assert!(
            !file.ends_with("mod.rs"),
            "write {}.rs instead of mod.rs",
            file.parent().unwrap().display()
        );
    }
}

#[test]
fn memory_program_needs_few_crates() {
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
