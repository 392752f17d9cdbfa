//! [`LockFile`]: the content of a schema lock file, as sorted JSON with one field per line.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json_shape::EventSchema;

const ABOUT: &str = "The schemas of stored events, by event type and version. Written by FACTUM_UPDATE=1 cargo test.";

/// The content of a schema lock file.
#[derive(Debug)]
pub struct LockFile {
    events: BTreeMap<String, BTreeMap<u32, EventSchema>>,
    retired: BTreeSet<String>,
    personal: BTreeMap<String, Vec<String>>,
    tags: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Serialize, Deserialize)]
struct LockFileJson {
    about: String,
    events: BTreeMap<String, BTreeMap<u32, Value>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    retired: BTreeSet<String>,
    /// The fields with personal data of each event type that has any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    personal: BTreeMap<String, Vec<String>>,
    /// The keys of the tags of each event type that has any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, BTreeSet<String>>,
}

impl LockFile {
    /// Parses a lock file; an empty text is an empty file.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        if text.trim().is_empty() {
            return Ok(Self {
                events: BTreeMap::new(),
                retired: BTreeSet::new(),
                personal: BTreeMap::new(),
                tags: BTreeMap::new(),
            });
        }
        let json: LockFileJson = serde_json::from_str(text)?;
        let events = json.events.into_iter().map(|(name, versions)| {
            let versions = versions.into_iter();
            let versions =
                versions.map(|(version, json)| Ok((version, EventSchema::parse(&json)?)));
            Ok((name, versions.collect::<Result<_, serde_json::Error>>()?))
        });
        Ok(Self {
            events: events.collect::<Result<_, serde_json::Error>>()?,
            retired: json.retired,
            personal: json.personal,
            tags: json.tags,
        })
    }

    pub fn to_text(&self) -> String {
        let events = self.events.iter().map(|(name, versions)| {
            let versions = versions.iter();
            let versions = versions.map(|(version, schema)| (*version, schema.to_json()));
            (name.clone(), versions.collect())
        });
        let json = LockFileJson {
            about: ABOUT.to_owned(),
            events: events.collect(),
            retired: self.retired.clone(),
            personal: self.personal.clone(),
            tags: self.tags.clone(),
        };
        let text = serde_json::to_string_pretty(&json);
        text.unwrap_or_else(|error| panic!("cannot serialize a schema lock file: {error}")) + "\n"
    }

    /// Returns the event types in the file.
    pub fn names(&self) -> Vec<String> {
        self.events.keys().cloned().collect()
    }

    /// Returns the newest stored version of an event type, or 0 if there is none.
    pub fn newest_version(&self, name: &str) -> u32 {
        let versions = self.events.get(name);
        let newest = versions.and_then(|versions| versions.last_key_value());
        newest.map_or(0, |(version, _)| *version)
    }

    /// Returns the schema of an event type in this version.
    pub fn schema(&self, name: &str, version: u32) -> Option<EventSchema> {
        self.events.get(name)?.get(&version).cloned()
    }

    /// Returns the stored versions of an event type.
    pub fn versions(&self, name: &str) -> Vec<u32> {
        let versions = self.events.get(name).into_iter();
        versions
            .flat_map(|versions| versions.keys().copied())
            .collect()
    }

    pub fn set_schema(&mut self, name: &str, version: u32, schema: EventSchema) {
        let versions = self.events.entry(name.to_owned()).or_default();
        versions.insert(version, schema);
    }

    /// Replaces the fields with personal data of an event type.
    pub fn set_personal_fields(&mut self, name: &str, fields: &[&str]) {
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        if fields.is_empty() {
            self.personal.remove(name);
        } else {
            self.personal.insert(name.to_owned(), fields);
        }
    }

    /// Returns the keys of the tags of an event type.
    pub fn tags(&self, name: &str) -> BTreeSet<String> {
        self.tags.get(name).cloned().unwrap_or_default()
    }

    /// Replaces the keys of the tags of an event type.
    pub fn set_tags(&mut self, name: &str, tags: &[&str]) {
        let tags: BTreeSet<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        if tags.is_empty() {
            self.tags.remove(name);
        } else {
            self.tags.insert(name.to_owned(), tags);
        }
    }

    /// Replaces the retired event types with those of `names` that are in the file.
    pub fn set_retired(&mut self, names: &BTreeSet<&'static str>) {
        let stored = names.iter().filter(|name| self.events.contains_key(**name));
        self.retired = stored.map(|name| (*name).to_owned()).collect();
    }
}
