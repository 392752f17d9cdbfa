//! The architecture: arrows between crates point one way, the domain stays pure, files stay small.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

const MAX_LINES: usize = 400;
const GENERATED: &str = "spec-service/src/grpc/generated.rs";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Which crates of the workspace each one depends on, leaving out what only its tests need.
fn arrows() -> HashMap<String, Vec<String>> {
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .unwrap();
    let ours: Vec<String> = metadata
        .packages
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    let arrows = metadata.packages.iter().map(|package| {
        let normal = package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal);
        let inside = normal
            .map(|d| d.name.clone())
            .filter(|name| ours.contains(name));
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
    for adapter in ["factum-memory", "factum-sqlite"] {
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
fn no_file_is_longer_than_the_budget() {
    let folders = [
        "framework",
        "framework-macros",
        "adapters",
        "spec-service",
        "examples",
        "tests",
    ];
    for file in folders.into_iter().flat_map(sources_below) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let allowed = lines <= MAX_LINES || file.ends_with(GENERATED);
        assert!(
            allowed,
            "{} has {lines} lines, the budget is {MAX_LINES}",
            file.display()
        );
    }
}
