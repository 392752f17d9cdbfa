//! The file of a lock: JSON, sorted, one field a line.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shape::Form;

const ABOUT: &str =
    "What is stored of each event, by version. Written by FACTUM_UPDATE=1 cargo test.";

#[derive(Debug)]
pub struct LockFile {
    events: BTreeMap<String, BTreeMap<u32, Form>>,
    retired: BTreeSet<String>,
    personal: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    about: String,
    events: BTreeMap<String, BTreeMap<u32, Value>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    retired: BTreeSet<String>,
    /// The fields with personal data of each event that has any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    personal: BTreeMap<String, Vec<String>>,
}

impl LockFile {
    /// An empty text is an empty file.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        if text.trim().is_empty() {
            return Ok(Self {
                events: BTreeMap::new(),
                retired: BTreeSet::new(),
                personal: BTreeMap::new(),
            });
        }
        let written: Written = serde_json::from_str(text)?;
        let events = written.events.into_iter().map(|(name, versions)| {
            let versions = versions.into_iter();
            let versions = versions.map(|(version, json)| Ok((version, Form::parse(&json)?)));
            Ok((name, versions.collect::<Result<_, serde_json::Error>>()?))
        });
        Ok(Self {
            events: events.collect::<Result<_, serde_json::Error>>()?,
            retired: written.retired,
            personal: written.personal,
        })
    }

    pub fn text(&self) -> String {
        let events = self.events.iter().map(|(name, versions)| {
            let versions = versions.iter();
            let versions = versions.map(|(version, form)| (*version, form.to_json()));
            (name.clone(), versions.collect())
        });
        let written = Written {
            about: ABOUT.to_owned(),
            events: events.collect(),
            retired: self.retired.clone(),
            personal: self.personal.clone(),
        };
        let text = serde_json::to_string_pretty(&written);
        text.unwrap_or_else(|error| panic!("a lock is JSON: {error}")) + "\n"
    }

    pub fn names(&self) -> Vec<String> {
        self.events.keys().cloned().collect()
    }

    /// The newest version that is stored; 0: none is.
    pub fn newest(&self, name: &str) -> u32 {
        let versions = self.events.get(name);
        let newest = versions.and_then(|versions| versions.last_key_value());
        newest.map_or(0, |(version, _)| *version)
    }

    pub fn form(&self, name: &str, version: u32) -> Option<Form> {
        self.events.get(name)?.get(&version).cloned()
    }

    /// The versions of `name` that are stored.
    pub fn versions(&self, name: &str) -> Vec<u32> {
        let versions = self.events.get(name).into_iter();
        versions
            .flat_map(|versions| versions.keys().copied())
            .collect()
    }

    pub fn put(&mut self, name: &str, version: u32, form: Form) {
        let versions = self.events.entry(name.to_owned()).or_default();
        versions.insert(version, form);
    }

    /// The fields of `name` with personal data, as the code has them now.
    pub fn personal(&mut self, name: &str, fields: &[&str]) {
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        if fields.is_empty() {
            self.personal.remove(name);
        } else {
            self.personal.insert(name.to_owned(), fields);
        }
    }

    pub fn retire(&mut self, names: &BTreeSet<&'static str>) {
        let known = names.iter().filter(|name| self.events.contains_key(**name));
        self.retired = known.map(|name| (*name).to_owned()).collect();
    }
}
