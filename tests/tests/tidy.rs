//! Rules of the architecture: dependencies between crates, the names of the facade, visibility, the names of types, and
//! unsafe code.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

#[path = "support/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use proc_macro2::{TokenStream, TokenTree};
use sources::{relative, root, rust_files};
use syn::visit::Visit;
use syn::{Ident, Item, UseTree, Visibility};

/// The maximum number of names at the root of `factum`.
const MAX_ROOT_NAMES: usize = 30;
/// The maximum number of items with restricted visibility in 1,000 lines.
const MAX_RESTRICTED: usize = 10;
/// The maximum number of crates that a program on the memory store is built from, without the program itself.
const MAX_MEMORY_CRATES: usize = 39;

fn packages() -> Vec<Package> {
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec();
    metadata.unwrap().packages
}

/// Returns the dependencies of a package, without those of its tests.
fn dependencies(package: &Package) -> impl Iterator<Item = String> + '_ {
    let normal = package
        .dependencies
        .iter()
        .filter(|d| d.kind == DependencyKind::Normal);
    normal.map(|d| d.name.clone())
}

/// Returns the dependencies of each package on packages of the workspace.
fn workspace_dependencies() -> HashMap<String, Vec<String>> {
    let packages = packages();
    let ours: Vec<String> = packages.iter().map(|p| p.name.to_string()).collect();
    let all = packages.iter().map(|package| {
        let inside = dependencies(package).filter(|name| ours.contains(name));
        (package.name.to_string(), inside.collect())
    });
    all.collect()
}

/// Returns the source folders of the products and libraries.
fn production_sources() -> Vec<PathBuf> {
    let folders = [
        "framework",
        "framework-macros/src",
        "adapters",
        "event-store",
        "sdks/rust",
        "spec-service/src",
    ];
    let files = folders.iter().flat_map(|folder| rust_files(folder));
    let is_test = |file: &Path| {
        let path = relative(file);
        path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("generated.rs")
    };
    files.filter(|file| !is_test(file)).collect()
}

#[test]
fn crate_dependencies_follow_the_layers() {
    let dependencies = workspace_dependencies();
    let framework = ["factum-core", "factum-engine", "factum-runtime"];
    let allowed: &[(&str, &[&str])] = &[
        ("factum-macros", &[]),
        ("factum-core", &[]),
        ("factum-engine", &framework[..1]),
        ("factum-runtime", &framework[..2]),
        ("factum-schema", &framework[..2]),
        ("factum-privacy", &framework),
        ("factum-sql", &framework),
        (
            "factum",
            &[
                "factum-core",
                "factum-engine",
                "factum-macros",
                "factum-privacy",
                "factum-runtime",
                "factum-schema",
            ],
        ),
        ("factum-memory", &["factum-core"]),
        ("factum-sqlite", &["factum-core", "factum-sql"]),
        ("factum-postgres", &["factum-core", "factum-sql"]),
        ("factum-server", &["factum-core"]),
        ("factum-store-protocol", &["factum-core"]),
        ("factum-compatible-protocols", &[]),
        (
            "factum-store-client",
            &["factum-core", "factum-store-protocol"],
        ),
        (
            "factum-grpc",
            &[
                "factum-core",
                "factum-store-client",
                "factum-store-protocol",
            ],
        ),
        (
            "event-store",
            &[
                "factum",
                "factum-compatible-protocols",
                "factum-memory",
                "factum-postgres",
                "factum-runtime",
                "factum-server",
                "factum-sqlite",
                "factum-store-protocol",
            ],
        ),
        (
            "spec-service",
            &[
                "factum",
                "factum-server",
                "factum-sql",
                "factum-sqlite",
                "factum-postgres",
            ],
        ),
    ];
    for (package, allowed) in allowed {
        for to in &dependencies[*package] {
            assert!(
                allowed.contains(&&**to),
                "{package} must not depend on {to}"
            );
        }
    }
    for package in packages() {
        let is_adapter = package.manifest_path.as_str().contains("/adapters/");
        let is_listed = allowed
            .iter()
            .any(|(listed, _)| *listed == package.name.as_str());
        assert!(
            !is_adapter || is_listed,
            "list the adapter {} here",
            package.name
        );
    }
    for (package, to) in &dependencies {
        for leaf in ["factum-tests", "factum-examples"] {
            assert!(
                !to.iter().any(|name| name == leaf),
                "{package} depends on the leaf {leaf}"
            );
        }
    }
}

#[test]
fn only_tests_depend_on_the_test_kit() {
    for (package, to) in workspace_dependencies() {
        let is_leaf = ["factum-tests", "factum-examples"].contains(&&*package);
        let has_test_kit = to.iter().any(|name| name == "factum-testkit");
        assert!(
            is_leaf || !has_test_kit,
            "{package} is built with factum-testkit"
        );
    }
}

#[test]
fn framework_has_no_database_or_http() {
    let strangers = [
        "sqlx", "rusqlite", "axum", "hyper", "http", "tonic", "prost", "reqwest",
    ];
    for package in packages() {
        let is_framework = package.manifest_path.as_str().contains("/framework");
        if !is_framework || package.name.as_str() == "factum-server" {
            continue;
        }
        for dependency in dependencies(&package) {
            assert!(
                !strangers.contains(&&*dependency),
                "{} depends on {dependency}",
                package.name
            );
        }
    }
}

#[test]
fn service_domain_has_no_runtime_sql_or_http() {
    // The domain of a capability is its file `domain.rs`, or its folder `domain`.
    let is_domain = |file: &PathBuf| {
        let name =
            |part: Component<'_>| part.as_os_str() == "domain" || part.as_os_str() == "domain.rs";
        file.components().any(name)
    };
    let mut files = rust_files("spec-service/src");
    files.retain(is_domain);
    files.extend(rust_files("spec-service/src/content"));
    assert!(files.len() > 5, "{files:?}");
    let strangers = [
        "tokio::",
        "sqlx::",
        "axum::",
        "tonic::",
        "http::",
        "factum_sqlite",
    ];
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for stranger in strangers {
            assert!(
                !text.contains(stranger),
                "{} names {stranger}",
                relative(&file)
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
    let files: Vec<_> = rust_files("spec-service/src")
        .into_iter()
        .filter(names_an_adapter)
        .collect();
    assert!(files.len() <= 1, "adapters are named in {files:?}");
}

#[test]
fn facade_has_few_names_at_its_root() {
    let text = fs::read_to_string(root().join("framework/src/lib.rs")).unwrap();
    let mut names = BTreeSet::new();
    for item in syn::parse_file(&text).unwrap().items {
        let is_hidden = |attrs: &[syn::Attribute]| {
            let mut docs = attrs.iter().filter(|attr| attr.path().is_ident("doc"));
            docs.any(|doc| doc.parse_args::<Ident>().is_ok_and(|word| word == "hidden"))
        };
        match item {
            Item::Mod(module) if !is_hidden(&module.attrs) => {
                names.insert(module.ident.to_string());
            }
            Item::Use(import) if matches!(import.vis, Visibility::Public(_)) => {
                collect_names(&import.tree, &mut names);
            }
            Item::Mod(_) | Item::Use(_) => {}
            item => panic!("factum defines an item of its own: {item:?}"),
        }
    }
    assert!(
        names.contains("Aggregate") && names.contains("store"),
        "{names:?}"
    );
    assert!(
        names.len() <= MAX_ROOT_NAMES,
        "factum has {} names at its root, at most {MAX_ROOT_NAMES} are allowed: {names:?}",
        names.len()
    );
}

fn collect_names(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => collect_names(&path.tree, names),
        UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|tree| collect_names(tree, names)),
        UseTree::Name(name) => {
            names.insert(name.ident.to_string());
        }
        UseTree::Rename(rename) => {
            names.insert(rename.rename.to_string());
        }
        UseTree::Glob(_) => panic!("a glob at the root of factum exports names that nobody counts"),
    }
}

#[test]
fn restricted_visibility_is_rare() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for file in production_sources() {
        let path = relative(&file);
        let (package, _) = path.split_once("/src/").unwrap_or((&path, ""));
        let text = fs::read_to_string(&file).unwrap();
        let mut restricted = Restricted(0);
        restricted.visit_file(&syn::parse_file(&text).unwrap());
        let (items, lines) = counts.entry(package.to_owned()).or_default();
        *items += restricted.0;
        *lines += text.lines().count();
    }
    for (package, (items, lines)) in counts {
        assert!(
            items * 1_000 <= MAX_RESTRICTED * lines,
            "{package}: {items} items with pub(crate) or pub(super) in {lines} lines; \
             at most {MAX_RESTRICTED} in 1,000 lines are allowed"
        );
    }
}

/// Counts restricted visibilities.
struct Restricted(usize);

impl<'a> Visit<'a> for Restricted {
    fn visit_vis_restricted(&mut self, _: &'a syn::VisRestricted) {
        self.0 += 1;
    }
}

#[test]
fn type_names_are_unique() {
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in production_sources() {
        let text = fs::read_to_string(&file).unwrap();
        let mut names = TypeNames::default();
        names.visit_file(&syn::parse_file(&text).unwrap());
        for name in names.0 {
            types.entry(name).or_default().push(relative(&file));
        }
    }
    let mut duplicates = Vec::new();
    for (name, files) in types {
        // Adapters repeat the names of each other for the same roles.
        let adapters: BTreeSet<&str> = files.iter().filter_map(|file| adapter(file)).collect();
        let is_one_role = adapters.len() == files.len();
        if files.len() > 1 && !is_one_role {
            duplicates.push(format!("{name}: {}", files.join(", ")));
        }
    }
    assert!(
        duplicates.is_empty(),
        "several types have one name:\n{}",
        duplicates.join("\n")
    );
}

/// Returns the adapter to which a file belongs.
fn adapter(file: &str) -> Option<&str> {
    file.strip_prefix("adapters/")?.split('/').next()
}

/// Collects the names of types and traits, without those in functions and in test modules.
#[derive(Default)]
struct TypeNames(Vec<String>);

impl<'a> Visit<'a> for TypeNames {
    fn visit_item(&mut self, item: &'a Item) {
        match item {
            Item::Struct(item) => self.0.push(item.ident.to_string()),
            Item::Enum(item) => self.0.push(item.ident.to_string()),
            Item::Trait(item) => self.0.push(item.ident.to_string()),
            Item::Mod(module) if module.ident != "tests" => {
                syn::visit::visit_item_mod(self, module);
            }
            _ => {}
        }
    }
}

#[test]
fn code_is_safe() {
    let unsafe_files: Vec<String> = rust_files("")
        .into_iter()
        .filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            has_unsafe(text.parse().unwrap())
        })
        .map(|file| relative(&file))
        .collect();
    assert_eq!(unsafe_files, [""; 0]);
}

/// Returns whether the keyword, or the name of the lint, occurs, in macros as well.
fn has_unsafe(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => has_unsafe(group.stream()),
        TokenTree::Ident(word) => word == "unsafe" || word == "unsafe_code",
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

#[test]
fn modules_are_beside_their_folders() {
    for file in rust_files("") {
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
        .args([
            "tree",
            "--package",
            "factum-memory",
            "--package",
            "factum",
            "--prefix",
            "none",
        ])
        .args(["--edges", "normal,build", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    assert!(
        tree.contains("factum-memory ") && tree.contains("factum-macros "),
        "{tree}"
    );
    assert!(
        crates.len() <= MAX_MEMORY_CRATES,
        "{}: {crates:#?}",
        crates.len()
    );
}
