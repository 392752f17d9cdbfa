//! Links, anchors and images that lead nowhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::html::Page;

/// Returns the problems of the links of `pages`, in a book with `files`.
pub fn problems(pages: &[Page], files: &[String], crates: &BTreeSet<String>) -> Vec<String> {
    let files: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    let by_path: BTreeMap<&str, &Page> = pages.iter().map(|page| (&*page.path, page)).collect();
    let mut problems = Vec::new();
    for page in pages {
        for target in &page.targets {
            let found = match target.split_once("://") {
                Some((scheme, address)) => outside(scheme, address, crates),
                None => inside(page, target, &files, &by_path),
            };
            problems.extend(found.map(|problem| format!("{}: {problem}: {target:?}", page.path)));
        }
    }
    problems
}

/// Returns the problem of a link to another site. It is not requested.
fn outside(scheme: &str, address: &str, crates: &BTreeSet<String>) -> Option<&'static str> {
    if scheme != "https" {
        return Some("link without TLS");
    }
    let name = address.strip_prefix("docs.rs/")?;
    let name = name.split(['/', '#']).next().unwrap_or_default();
    (!crates.contains(name)).then_some("link to docs.rs with a crate that is not in the lock file")
}

fn inside(
    page: &Page,
    target: &str,
    files: &BTreeSet<&str>,
    pages: &BTreeMap<&str, &Page>,
) -> Option<&'static str> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => page.path.clone(),
        _ => resolve(&page.path, path),
    };
    if !files.contains(&*file) {
        return Some("link to a file that does not exist");
    }
    if anchor.is_empty() {
        return None;
    }
    let has_anchor = pages.get(&*file).is_some_and(|it| it.ids.contains(anchor));
    (!has_anchor).then_some("link to an anchor that does not exist")
}

/// Returns the path of `target`, which is relative to the folder of `page`.
fn resolve(page: &str, target: &str) -> String {
    let mut folders: Vec<&str> = page.split('/').collect();
    folders.pop();
    for part in target.split('/') {
        match part {
            "." => {}
            ".." => {
                folders.pop();
            }
            part => folders.push(part),
        }
    }
    folders.join("/")
}
