//! The imports between the files of a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::Visit;
use syn::{Item, ItemMod, UseTree, Visibility};

/// The path of a module, without the name of the crate.
type ModulePath = Vec<String>;

/// The modules of a crate, and the imports between their files.
pub struct ModuleGraph {
    modules: BTreeMap<ModulePath, Module>,
}

#[derive(Default)]
struct Module {
    /// The module of the file that contains this module.
    file: ModulePath,
    /// The names of the items that are defined here, without modules.
    items: BTreeSet<String>,
    /// The public imports: the name here, and the path.
    re_exports: Vec<(String, Vec<String>)>,
    /// The modules whose public items are re-exported here.
    globs: Vec<Vec<String>>,
    /// The private imports.
    imports: Vec<Vec<String>>,
    /// The other paths that name modules.
    paths: Vec<Vec<String>>,
}

impl ModuleGraph {
    /// Reads the crate with this root file. Modules for tests are left out.
    pub fn of_crate(root: &Path) -> Self {
        let mut graph = Self {
            modules: BTreeMap::new(),
        };
        graph.read_file(root, root.parent().unwrap(), &Vec::new());
        graph
    }

    fn read_file(&mut self, file: &Path, folder: &Path, path: &ModulePath) {
        let text = fs::read_to_string(file).unwrap();
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.read_module(&parsed.items, folder, path, path);
    }

    fn read_module(&mut self, items: &[Item], folder: &Path, path: &ModulePath, file: &ModulePath) {
        let mut module = Module {
            file: file.clone(),
            ..Module::default()
        };
        let mut children = Vec::new();
        for item in items {
            match item {
                Item::Mod(child) if is_test(child) => {}
                Item::Mod(child) => children.push(child),
                Item::Use(import) => {
                    let is_public = !matches!(import.vis, Visibility::Inherited);
                    module.add_use(&import.tree, Vec::new(), is_public);
                }
                item => {
                    module.items.extend(name_of(item));
                    Paths(&mut module.paths).visit_item(item);
                }
            }
        }
        self.modules.insert(path.clone(), module);
        for child in children {
            let name = child.ident.to_string();
            let child_path: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
            let child_folder = folder.join(&name);
            match &child.content {
                Some((_, items)) => self.read_module(items, &child_folder, &child_path, file),
                None => {
                    let file = folder.join(format!("{name}.rs"));
                    self.read_file(&file, &child_folder, &child_path);
                }
            }
        }
    }

    /// Returns the imports that are part of a cycle, as `file -> file: name`.
    pub fn cycles(&self) -> Vec<String> {
        let imports = self.imports();
        let reachable = |from: &ModulePath| {
            let mut found = BTreeSet::new();
            let mut open = vec![from];
            while let Some(next) = open.pop() {
                for target in imports.get(next).into_iter().flat_map(BTreeMap::keys) {
                    if found.insert(*target) {
                        open.push(target);
                    }
                }
            }
            found
        };
        let mut cycles = Vec::new();
        for (from, targets) in &imports {
            for (to, name) in targets {
                if reachable(to).contains(*from) {
                    cycles.push(format!("{} -> {}: {name}", from.join("::"), to.join("::")));
                }
            }
        }
        cycles
    }

    /// Returns the files that each file imports, with one imported name.
    fn imports(&self) -> BTreeMap<&ModulePath, BTreeMap<&ModulePath, String>> {
        let mut imports: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (path, module) in &self.modules {
            for import in module.imports.iter().chain(&module.paths) {
                let Some(target) = self.definition(path, import, 0) else {
                    continue;
                };
                let file = &self.modules[target].file;
                if *file != module.file {
                    let targets = imports.entry(&module.file).or_default();
                    targets.insert(file, import.join("::"));
                }
            }
        }
        imports
    }

    /// Returns the module in which the last name of `path` is defined; `None` if it is in another crate or unknown.
    fn definition(&self, from: &ModulePath, path: &[String], depth: usize) -> Option<&ModulePath> {
        if depth > 16 {
            return None;
        }
        let mut module = from.clone();
        let mut names = path;
        match path.first()?.as_str() {
            "crate" => (module, names) = (Vec::new(), &path[1..]),
            "self" => names = &path[1..],
            "super" => {
                while names.first().is_some_and(|name| name == "super") {
                    module.pop()?;
                    names = &names[1..];
                }
            }
            _ => {}
        }
        for (index, name) in names.iter().enumerate() {
            let (path, here) = self.modules.get_key_value(&module)?;
            let child: ModulePath = module.iter().cloned().chain([name.clone()]).collect();
            if self.modules.contains_key(&child) {
                module = child;
                continue;
            }
            if here.items.contains(name) {
                return Some(path);
            }
            let rest = &names[index + 1..];
            let exported = here
                .re_exports
                .iter()
                .filter(|(exported, _)| exported == name);
            let exported = exported.map(|(_, target)| target.clone());
            let globs = here
                .globs
                .iter()
                .map(|glob| glob.iter().cloned().chain([name.clone()]).collect());
            return exported.chain(globs).find_map(|target: Vec<String>| {
                let target: Vec<String> = target.into_iter().chain(rest.iter().cloned()).collect();
                self.definition(path, &target, depth + 1)
            });
        }
        // The path names a module: an import of a module is used through further paths, which are resolved by themselves.
        None
    }
}

impl Module {
    fn add_use(&mut self, tree: &UseTree, mut prefix: Vec<String>, is_public: bool) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.add_use(&path.tree, prefix, is_public);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, prefix.clone(), is_public);
                }
            }
            UseTree::Glob(_) if is_public => self.globs.push(prefix),
            UseTree::Glob(_) => {}
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let alias = match name.as_str() {
                    "self" => prefix.last().cloned().unwrap_or_default(),
                    _ => {
                        prefix.push(name.clone());
                        name
                    }
                };
                self.add_import(alias, prefix, is_public);
            }
            UseTree::Rename(rename) => {
                prefix.push(rename.ident.to_string());
                self.add_import(rename.rename.to_string(), prefix, is_public);
            }
        }
    }

    fn add_import(&mut self, name: String, path: Vec<String>, is_public: bool) {
        if !is_public {
            self.imports.push(path.clone());
        }
        // A private import is resolved like a re-export: paths in this module start with its name.
        self.re_exports.push((name, path));
    }
}

/// Collects the paths with at least two segments.
struct Paths<'m>(&'m mut Vec<Vec<String>>);

impl<'a> Visit<'a> for Paths<'_> {
    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            self.0.push(names.collect());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, _: &'a ItemMod) {}
}

fn is_test(module: &ItemMod) -> bool {
    let is_cfg = |attr: &&syn::Attribute| attr.path().is_ident("cfg");
    let mut cfgs = module.attrs.iter().filter(is_cfg);
    cfgs.any(|attr| {
        attr.parse_args::<syn::Path>()
            .is_ok_and(|cfg| cfg.is_ident("test"))
    })
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}
