//! The schema lock: a checked-in file with the schemas of stored events, and a test that compares the types with it.

mod compatibility;
mod error;
mod from_json_schema;
mod json_shape;
mod lock_file;
mod merge;
#[cfg(test)]
mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use factum_core::error::error_chain;
use factum_engine::event::{Event, EventType};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};

use crate::event_schemas::event_schemas;
use crate::stored_names::KnownEvents;
use compatibility::mismatches;
use json_shape::EventSchema;
use lock_file::LockFile;
use merge::merge;

pub use error::{Incompatibility, LockError};

/// Creates a schema lock: a comparison of event types with the checked-in file `path`.
///
/// In a test, a relative path starts at the folder of the package. The file contains the event type, the versions and
/// the JSON schema of every event that was ever stored. [`check`](EventsLock::check) fails if the types can no longer
/// read these events.
///
/// ```no_run
/// # use factum::prelude::*;
/// # #[derive(Event, Serialize, Deserialize, schemars::JsonSchema)]
/// # enum AccountEvent { Opened }
/// #[test]
/// fn stored_events_stay_readable() {
///     factum::schema::events_lock("events.lock").event::<AccountEvent>().check();
/// }
/// ```
///
/// `FACTUM_UPDATE=1 cargo test` writes the file, the first time and when a compatible change requires an update. It
/// never writes a breaking change. Before your first release to production, you can delete the file and write it again.
///
/// | change | action |
/// |---|---|
/// | a new event type, a new optional field, a new field with a default, a removed field, a widened type | update |
/// | a field that becomes `#[personal]`, or is no longer personal | update |
/// | documentation, a Rust name, the order of variants or fields | none |
/// | a new required field, a changed or narrowed type, a removed variant of a field's enum | breaks: raise the version and add an upcaster |
/// | a tag that is added to or removed from an event type, or renamed | breaks: keep the tag with `#[tag("…")]`, or declare the change with [`tag_changed`](EventsLock::tag_changed) |
/// | an event type renamed with `alias`, or listed in `retired` | update; its schema stays in the file |
/// | an event type that a type in `legacy` reads | add that type with [`legacy`](EventsLock::legacy); the schema stays in the file |
/// | an event type that is removed or renamed in another way | breaks: keep the event type, add an `alias`, or declare it [`retired`](EventsLock::retired) |
/// | a lowered version, or a raised one without an upcaster for each step | breaks |
pub fn events_lock(path: impl Into<PathBuf>) -> EventsLock {
    EventsLock {
        path: path.into(),
        known_events: KnownEvents::default(),
        current: BTreeMap::new(),
        retired: BTreeSet::new(),
        legacy_decoders: Vec::new(),
        legacy: Vec::new(),
        changed_tags: BTreeSet::new(),
    }
}

/// A comparison of event types with a schema lock file, created by [`events_lock`].
#[derive(Debug)]
#[must_use = "the types are not compared until `check` is called"]
pub struct EventsLock {
    path: PathBuf,
    /// The names of the added types, which must be distinct.
    known_events: KnownEvents,
    current: BTreeMap<&'static str, CodeSchemas>,
    retired: BTreeSet<&'static str>,
    /// The functions that return whether a legacy type decodes an event type in a version.
    legacy_decoders: Vec<fn(&str, u32) -> bool>,
    /// The schemas of the legacy types.
    legacy: Vec<CodeSchemas>,
    /// The event types and tag keys whose change is declared.
    changed_tags: BTreeSet<(&'static str, &'static str)>,
}

/// The schemas of an event type in the code.
#[derive(Debug)]
struct CodeSchemas {
    event_type: &'static EventType,
    serialize: EventSchema,
    deserialize: EventSchema,
}

impl CodeSchemas {
    fn upcasts_from(&self, name: &str, version: u32) -> bool {
        self.event_type.is_stored_as(name) && version <= self.event_type.version
    }
}

/// A stored event type in one version.
#[derive(Debug, Clone, Copy)]
struct StoredVersion<'a> {
    name: &'a str,
    version: u32,
}

fn code_schemas<E: Event + JsonSchema>() -> impl Iterator<Item = CodeSchemas> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
    });
    let (mut serialize, mut deserialize) = (
        SchemaGenerator::new(settings.clone().for_serialize()),
        SchemaGenerator::new(settings.for_deserialize()),
    );
    let serialized = event_schemas::<E>(&mut serialize);
    let deserialized = event_schemas::<E>(&mut deserialize);
    let schemas = serialized.into_iter().zip(deserialized);
    let schemas = E::TYPES.iter().zip(schemas);
    schemas.map(
        move |(event_type, (serialized, deserialized))| CodeSchemas {
            event_type,
            serialize: from_json_schema::serialize_schema(&serialized, serialize.definitions()),
            deserialize: from_json_schema::event_schema(&deserialized, deserialize.definitions()),
        },
    )
}

impl EventsLock {
    /// Adds every event type in `E`.
    ///
    /// # Panics
    /// Panics if the `JsonSchema` of `E` was not derived, or not for the type that implements `Deserialize`. Panics if
    /// another type that was added has the same event type, alias or legacy event type.
    #[track_caller]
    pub fn event<E: Event + JsonSchema>(mut self) -> Self {
        self.known_events.add::<E>();
        let schemas = code_schemas::<E>().map(|schemas| (schemas.event_type.name, schemas));
        self.current.extend(schemas);
        self.retired.extend(E::RETIRED);
        self.add_legacy_decoders::<E>();
        self
    }

    /// Adds a type that an event lists in `legacy`; it must be able to read the stored events as they are.
    ///
    /// # Panics
    /// Panics if the `JsonSchema` of `O` was not derived, or not for the type that implements `Deserialize`.
    pub fn legacy<O: Event + JsonSchema>(mut self) -> Self {
        self.legacy.extend(code_schemas::<O>());
        self.add_legacy_decoders::<O>();
        self
    }

    fn add_legacy_decoders<E: Event>(&mut self) {
        self.legacy_decoders
            .extend(E::LEGACY.iter().map(|legacy| legacy.accepts));
    }

    /// Declares that no store contains this event type any more, so that no type has to read it.
    ///
    /// Its schemas stay in the file, in case that the event type is used again.
    pub fn retired(mut self, name: &'static str) -> Self {
        self.retired.insert(name);
        self
    }

    /// Declares that the tag `key` was added to or removed from an event type with stored events.
    ///
    /// A DCB query by this tag then finds only the events that were stored with it, unless a
    /// [copy](https://docs.rs/factum/latest/factum/store/struct.CopyEvents.html) adds it. Remove the call when the file is
    /// updated.
    pub fn tag_changed(mut self, event_type: &'static str, key: &'static str) -> Self {
        self.changed_tags.insert((event_type, key));
        self
    }

    /// Compares the types with `locked`, the text of a lock file, and returns the new text of the file.
    ///
    /// An empty text is an empty file.
    ///
    /// # Errors
    /// Returns [`LockError`] if stored events could not be read any more, or if `locked` is not a lock file.
    pub fn compare(&self, locked: &str) -> Result<String, LockError> {
        let mut file = LockFile::parse(locked)?;
        let mut found: Vec<Incompatibility> = Vec::new();
        for name in file.names() {
            match (self.current.get(&*name), self.retired.get(&*name)) {
                (Some(_), Some(_)) => found.push(Incompatibility::RetiredInUse { event: name }),
                (None, None) => {
                    let newest = file.newest_version(&name);
                    if !self.is_decoded_by_legacy(&name, newest) {
                        match self.renamed(&name) {
                            Some(schemas) => check_alias(&name, schemas, &file, &mut found),
                            None => found.push(self.removed(&name, &file)),
                        }
                    }
                }
                _ => {}
            }
        }
        for name in file.names() {
            for version in file.versions(&name) {
                let name = &*name;
                self.check_legacy(StoredVersion { name, version }, &file, &mut found);
            }
        }
        for (name, schemas) in &self.current {
            self.check_tags(name, schemas.event_type, &file, &mut found);
            check_and_merge(name, schemas, &mut file, &mut found);
        }
        if found.is_empty() {
            file.set_retired(&self.retired);
            Ok(file.to_text())
        } else {
            Err(LockError::Incompatible(found))
        }
    }

    /// Compares the tags of an event type with those of the stored events, under its name and its aliases.
    fn check_tags(
        &self,
        name: &str,
        event_type: &EventType,
        file: &LockFile,
        found: &mut Vec<Incompatibility>,
    ) {
        let names = event_type.aliases.iter().copied().chain([name]);
        let names = names.filter(|name| file.newest_version(name) > 0);
        let is_declared = |tag: &str| self.changed_tags.contains(&(event_type.name, tag));
        for stored in names.map(|name| file.tags(name)) {
            let own = event_type.tags.iter().copied();
            let added: Vec<_> = own.filter(|tag| !stored.contains(*tag)).collect();
            let is_removed = |tag: &&String| !event_type.tags.contains(&tag.as_str());
            let removed: Vec<_> = stored.iter().filter(is_removed).collect();
            for tag in removed.iter().filter(|tag| !is_declared(tag)) {
                let verdict = Incompatibility::TagRemoved {
                    event: name.to_owned(),
                    tag: (*tag).clone(),
                    renamed_to: match &added[..] {
                        [only] => Some((*only).to_owned()),
                        _ => None,
                    },
                };
                if !found.contains(&verdict) {
                    found.push(verdict);
                }
            }
            // The verdict about a renamed tag is that it is removed.
            if removed.len() == 1 && added.len() == 1 && !is_declared(removed[0]) {
                continue;
            }
            for tag in added.into_iter().filter(|tag| !is_declared(tag)) {
                let (event, tag) = (name.to_owned(), tag.to_owned());
                let verdict = Incompatibility::TagAdded { event, tag };
                if !found.contains(&verdict) {
                    found.push(verdict);
                }
            }
        }
    }

    /// Returns whether only a legacy type decodes the event type `name` in this version.
    fn is_decoded_by_legacy(&self, name: &str, version: u32) -> bool {
        let mut current = self.current.values();
        let is_current = current.any(|schemas| {
            schemas.event_type.is_stored_as(name) && schemas.event_type.version <= version
        });
        let mut legacy = self.legacy_decoders.iter();
        !is_current && legacy.any(|decodes| decodes(name, version))
    }

    /// Compares a stored version with the legacy type that decodes it, if there is one.
    fn check_legacy(
        &self,
        stored: StoredVersion<'_>,
        file: &LockFile,
        found: &mut Vec<Incompatibility>,
    ) {
        let StoredVersion { name, version } = stored;
        if self.retired.contains(name) || !self.is_decoded_by_legacy(name, version) {
            return;
        }
        // If several legacy types decode it, the one with the lowest version does.
        let legacy = self.legacy.iter();
        let legacy = legacy.filter(|schemas| schemas.upcasts_from(name, version));
        match legacy.min_by_key(|schemas| schemas.event_type.version) {
            Some(schemas) => check_version(stored, schemas, file, found),
            None => found.push(Incompatibility::LegacyTypeNotAdded {
                event: name.to_owned(),
                version,
            }),
        }
    }

    /// Returns the current event type that has `name` as an alias.
    fn renamed(&self, name: &str) -> Option<&CodeSchemas> {
        let mut current = self.current.values();
        current.find(|schemas| schemas.event_type.aliases.contains(&name))
    }

    /// Returns the incompatibility of an event type that the code does not have.
    ///
    /// It names a new event type with the same schema, if there is one.
    fn removed(&self, name: &str, file: &LockFile) -> Incompatibility {
        let newest = file.newest_version(name);
        let locked = file.schema(name, newest);
        let is_new = |other: &str| file.newest_version(other) == 0;
        let mut others = self.current.iter().filter(|(other, _)| is_new(other));
        let renamed = others.find(|(_, schemas)| {
            let is_same =
                |locked: &EventSchema| mismatches(locked, &schemas.deserialize).is_empty();
            schemas.event_type.version == newest && locked.as_ref().is_some_and(is_same)
        });
        Incompatibility::Removed {
            event: name.to_owned(),
            renamed_to: renamed.map(|(other, _)| (*other).to_owned()),
        }
    }

    /// Compares the types with the file.
    ///
    /// With `FACTUM_UPDATE=1` in the environment it also writes the file, unless a change is breaking.
    ///
    /// # Panics
    /// Panics if stored events could not be read any more. Without `FACTUM_UPDATE=1`, also panics if the file is
    /// missing or differs from the types. The message names the next step.
    #[track_caller]
    pub fn check(self) {
        let path = self.path.display();
        let locked = match fs::read_to_string(&self.path) {
            Ok(locked) => Some(locked),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("cannot read {path}: {error}"),
        };
        let text = match self.compare(locked.as_deref().unwrap_or_default()) {
            Ok(text) => text,
            Err(error) => panic!("{path}: {}", error_chain(&error)),
        };
        if locked.as_ref() == Some(&text) {
            return;
        }
        if std::env::var("FACTUM_UPDATE").is_ok_and(|update| update == "1") {
            if let Err(error) = fs::write(&self.path, text) {
                panic!("cannot write {path}: {error}");
            }
            return;
        }
        let reason = match locked {
            None => "the file does not exist",
            Some(_) => "the event schemas have changed, and stored events stay readable",
        };
        panic!("{path}: {reason}; run the test with FACTUM_UPDATE=1, and check in the file");
    }
}

/// Compares the events that are stored under an alias with the current event type.
fn check_alias(
    name: &str,
    schemas: &CodeSchemas,
    file: &LockFile,
    found: &mut Vec<Incompatibility>,
) {
    let version = schemas.event_type.version;
    let newest = file.newest_version(name);
    if newest > version {
        found.push(Incompatibility::VersionLowered {
            event: name.to_owned(),
            locked: newest,
            version,
        });
    } else {
        check_version(StoredVersion { name, version }, schemas, file, found);
    }
}

/// Compares a stored version with the code, if the code has the same version.
///
/// Upcasters convert older versions.
fn check_version(
    stored: StoredVersion<'_>,
    schemas: &CodeSchemas,
    file: &LockFile,
    found: &mut Vec<Incompatibility>,
) {
    let StoredVersion { name, version } = stored;
    if version != schemas.event_type.version {
        return;
    }
    let Some(locked) = file.schema(name, version) else {
        return;
    };
    let mismatches = mismatches(&locked, &schemas.deserialize).into_iter();
    found.extend(mismatches.map(|mismatch| Incompatibility::Unreadable {
        event: name.to_owned(),
        version,
        field: mismatch.path,
        reason: mismatch.reason,
    }));
}

/// Compares one current event type with the file, and adds its schema to the file.
fn check_and_merge(
    name: &str,
    schemas: &CodeSchemas,
    file: &mut LockFile,
    found: &mut Vec<Incompatibility>,
) {
    let event = name.to_owned();
    let EventType {
        version, upcasters, ..
    } = *schemas.event_type;
    if upcasters.len() as u64 + 1 != u64::from(version) {
        let upcasters = upcasters.len();
        found.push(Incompatibility::MissingUpcasters {
            event,
            version,
            upcasters,
        });
        return;
    }
    let newest = file.newest_version(name);
    if newest > version {
        found.push(Incompatibility::VersionLowered {
            event,
            locked: newest,
            version,
        });
        return;
    }
    let locked = file.schema(name, version);
    let locked = locked.as_ref().unwrap_or(&schemas.serialize);
    let mut all = mismatches(locked, &schemas.deserialize);
    // The code must also be able to read the events that it stores from now on.
    for mismatch in mismatches(&schemas.serialize, &schemas.deserialize) {
        if !all.contains(&mismatch) {
            all.push(mismatch);
        }
    }
    found.extend(all.into_iter().map(|mismatch| Incompatibility::Unreadable {
        event: event.clone(),
        version,
        field: mismatch.path,
        reason: mismatch.reason,
    }));
    file.set_schema(name, version, merge(locked, &schemas.serialize));
    file.set_personal_fields(name, schemas.event_type.personal);
    let aliases = schemas.event_type.aliases.iter().copied();
    let aliases: Vec<_> = aliases
        .filter(|alias| file.newest_version(alias) > 0)
        .collect();
    for name in aliases.into_iter().chain([name]) {
        file.set_tags(name, schemas.event_type.tags);
    }
}
