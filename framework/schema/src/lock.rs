//! A lock on what is stored: a change that old events would not survive fails a test.

mod error;
mod file;
mod fits;
#[cfg(test)]
mod laws;
mod merge;
mod schema;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};

use crate::catalog::kinds::schemas;
pub use error::{LockError, LockFault};
use factum_engine::event::{Event, EventType};
use file::LockFile;
use fits::faults;
use merge::merged;
use shape::Form;

/// A lock on the stored forms of events, kept in the file `path`, which is checked in. In a test, a relative
/// path begins at the folder of the package.
///
/// The file holds the name, the versions and the JSON form of every event that was ever stored.
/// [`check`](EventsLock::check) holds the types against it: what is in the file must still be read.
///
/// ```no_run
/// # use factum::prelude::*;
/// # #[derive(Event, Serialize, Deserialize, schemars::JsonSchema)]
/// # enum AccountEvent { Opened }
/// #[test]
/// fn what_is_stored_can_still_be_read() {
///     factum::schema::events_lock("events.lock").event::<AccountEvent>().check();
/// }
/// ```
///
/// `FACTUM_UPDATE=1 cargo test` writes the file, at first and whenever a change asks for it. It never takes in
/// a change that would break what is stored; before anything is, delete the file and have it written anew.
///
/// | change | |
/// |---|---|
/// | a new kind of event, a new field that is optional or has a default, a field removed, a type widened | update the file |
/// | a field that becomes `#[personal]`, or is it no more | update the file |
/// | documentation, a Rust name, the order of variants or fields | nothing to do |
/// | a new required field, a type changed or narrowed, a variant of a field's enum removed | breaks: raise the version and write an upcaster |
/// | a stored name changed with `alias`, or `retired` in the attribute | nothing to do; the form stays in the file |
/// | a stored form taken by a type in `legacy` | lock that type, too: [`former`](EventsLock::former); the form stays in the file |
/// | an event removed, or its stored name changed otherwise | breaks: keep the name, say `alias`, or declare it [`retired`](EventsLock::retired) |
/// | a version lowered, or raised without an upcaster for each step | breaks |
pub fn events_lock(path: impl Into<PathBuf>) -> EventsLock {
    EventsLock {
        path: path.into(),
        code: BTreeMap::new(),
        retired: BTreeSet::new(),
        legacy: Vec::new(),
        old: Vec::new(),
    }
}

/// A lock on the stored forms of events. Made by [`events_lock`].
#[derive(Debug)]
#[must_use = "nothing is locked before `check`"]
pub struct EventsLock {
    path: PathBuf,
    code: BTreeMap<&'static str, Kind>,
    retired: BTreeSet<&'static str>,
    /// Whether a name and version is read by a type of its own, in `legacy`.
    legacy: Vec<fn(&str, u32) -> bool>,
    /// The kinds of such types.
    old: Vec<Kind>,
}

/// One kind of event as the code has it.
#[derive(Debug)]
struct Kind {
    event_type: &'static EventType,
    written: Form,
    read: Form,
}

/// Every kind of event in `E`.
fn kinds<E: Event + JsonSchema>() -> impl Iterator<Item = Kind> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
    });
    let (mut writing, mut reading) = (
        SchemaGenerator::new(settings.clone().for_serialize()),
        SchemaGenerator::new(settings.for_deserialize()),
    );
    let writes = schemas::<E>(&mut writing);
    let reads = schemas::<E>(&mut reading);
    let kinds = E::TYPES.iter().zip(writes.into_iter().zip(reads));
    kinds.map(move |(event_type, (writes, reads))| Kind {
        event_type,
        written: schema::written(&writes, writing.definitions()),
        read: schema::form(&reads, reading.definitions()),
    })
}

impl EventsLock {
    /// Locks every kind of event in `E`.
    ///
    /// # Panics
    /// If the `JsonSchema` of `E` was not derived, or not on the same type as `Deserialize`.
    pub fn event<E: Event + JsonSchema>(mut self) -> Self {
        let kinds = kinds::<E>().map(|kind| (kind.event_type.name, kind));
        self.code.extend(kinds);
        self.retired.extend(E::RETIRED);
        self.take_legacy::<E>();
        self
    }

    /// Locks what `O` reads, a type in `legacy` of a type that is locked: what is stored must fit it as it is.
    ///
    /// # Panics
    /// If the `JsonSchema` of `O` was not derived, or not on the same type as `Deserialize`.
    pub fn legacy<O: Event + JsonSchema>(mut self) -> Self {
        self.old.extend(kinds::<O>());
        self.take_legacy::<O>();
        self
    }

    fn take_legacy<E: Event>(&mut self) {
        self.legacy
            .extend(E::LEGACY.iter().map(|legacy| legacy.accepts));
    }

    /// Declares that no store holds an event of this stored name any more, so that nothing needs to read it.
    /// What is known of its form stays in the file, in case the name comes back.
    pub fn retired(mut self, name: &'static str) -> Self {
        self.retired.insert(name);
        self
    }

    /// Holds the types against `locked`, the text of a file; an empty one stands for a new file. Gives back what
    /// the file should hold.
    ///
    /// # Errors
    /// [`LockError`] if what is stored would not be read any more, or `locked` is no such file.
    pub fn compare(&self, locked: &str) -> Result<String, LockError> {
        let mut file = LockFile::parse(locked)?;
        let mut broken: Vec<LockFault> = Vec::new();
        for name in file.names() {
            match (self.code.get(&*name), self.retired.get(&*name)) {
                (Some(_), Some(_)) => broken.push(LockFault::RetiredInUse { event: name }),
                (None, None) if self.is_legacy(&name, file.newest(&name)) => {}
                (None, None) => match self.renamed(&name) {
                    Some(kind) => hold_old(&name, kind, &file, &mut broken),
                    None => broken.push(self.gone(&name, &file)),
                },
                _ => {}
            }
        }
        for name in file.names() {
            for version in file.versions(&name) {
                self.hold_legacy((&name, version), &file, &mut broken);
            }
        }
        for (name, kind) in &self.code {
            hold(name, kind, &mut file, &mut broken);
        }
        if broken.is_empty() {
            file.retire(&self.retired);
            Ok(file.text())
        } else {
            Err(LockError::Broken(broken))
        }
    }

    /// Whether a type in `legacy` reads what is stored under `name` in this version.
    fn is_legacy(&self, name: &str, version: u32) -> bool {
        let mut kinds = self.code.values();
        let newer = |kind: &Kind| kind.event_type.version <= version;
        let is_read = kinds.any(|kind| kind.event_type.is_stored_as(name) && newer(kind));
        !is_read && self.legacy.iter().any(|takes| takes(name, version))
    }

    /// Holds what is stored against the type in `legacy` that reads it, if one does.
    fn hold_legacy(
        &self,
        (name, version): (&str, u32),
        file: &LockFile,
        broken: &mut Vec<LockFault>,
    ) {
        if self.retired.contains(name) || !self.is_legacy(name, version) {
            return;
        }
        let reads =
            |kind: &&Kind| kind.event_type.is_stored_as(name) && version <= kind.event_type.version;
        // The one that the fewest versions read.
        let reads = self.old.iter().filter(reads);
        match reads.min_by_key(|kind| kind.event_type.version) {
            Some(kind) => hold_form((name, version), kind, file, broken),
            None => broken.push(LockFault::Unlocked {
                event: name.to_owned(),
                version,
            }),
        }
    }

    /// The kind that was stored under `name` before.
    fn renamed(&self, name: &str) -> Option<&Kind> {
        let mut kinds = self.code.values();
        kinds.find(|kind| kind.event_type.aliases.contains(&name))
    }

    /// A name that the code does not have, and the one that may have taken its place.
    fn gone(&self, name: &str, file: &LockFile) -> LockFault {
        let newest = file.newest(name);
        let locked = file.form(name, newest);
        let is_new = |other: &str| file.newest(other) == 0;
        let mut others = self.code.iter().filter(|(other, _)| is_new(other));
        let instead = others.find(|(_, kind)| {
            let same = |locked: &Form| faults(locked, &kind.read).is_empty();
            kind.event_type.version == newest && locked.as_ref().is_some_and(same)
        });
        LockFault::Gone {
            event: name.to_owned(),
            instead: instead.map(|(other, _)| (*other).to_owned()),
        }
    }

    /// Holds the types against the file.
    ///
    /// With `FACTUM_UPDATE=1` in the environment it writes the file, unless what is stored would not be read any
    /// more.
    ///
    /// # Panics
    /// If what is stored would not be read any more; and, without `FACTUM_UPDATE=1`, if the file is missing or
    /// does not show the types as they are. The message says what to do.
    #[track_caller]
    pub fn check(self) {
        let path = self.path.display();
        let locked = match fs::read_to_string(&self.path) {
            Ok(locked) => Some(locked),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{path}: {error}"),
        };
        let now = match self.compare(locked.as_deref().unwrap_or_default()) {
            Ok(now) => now,
            Err(error) => panic!("{path}: {error}"),
        };
        if locked.as_ref() == Some(&now) {
            return;
        }
        if std::env::var("FACTUM_UPDATE").is_ok_and(|update| update == "1") {
            if let Err(error) = fs::write(&self.path, now) {
                panic!("{path}: {error}");
            }
            return;
        }
        let what = match locked {
            None => "there is no such file yet",
            Some(_) => "the stored forms have changed, and what is stored can still be read",
        };
        panic!("{path}: {what}. Run the test with FACTUM_UPDATE=1, and check the file in");
    }
}

/// Holds what is stored under an old name of a kind against what the kind reads.
fn hold_old(name: &str, kind: &Kind, file: &LockFile, broken: &mut Vec<LockFault>) {
    let version = kind.event_type.version;
    let newest = file.newest(name);
    let event = name.to_owned();
    if newest > version {
        broken.push(LockFault::Lowered {
            event,
            locked: newest,
            version,
        });
    } else {
        hold_form((name, version), kind, file, broken);
    }
}

/// Holds what is stored under `name` in this version against what the kind reads, if that is its own version; upcasters bring
/// up every other.
fn hold_form(
    (name, version): (&str, u32),
    kind: &Kind,
    file: &LockFile,
    broken: &mut Vec<LockFault>,
) {
    if version != kind.event_type.version {
        return;
    }
    let found = file.form(name, version);
    let found = found.map(|locked| faults(&locked, &kind.read));
    let found = found.into_iter().flatten();
    broken.extend(found.map(|fault| LockFault::Unreadable {
        event: name.to_owned(),
        version,
        field: fault.path,
        reason: fault.reason,
    }));
}

/// Holds one kind of event against the file, and takes in what it stores.
fn hold(name: &str, kind: &Kind, file: &mut LockFile, broken: &mut Vec<LockFault>) {
    let event = name.to_owned();
    let EventType {
        version, upcasters, ..
    } = *kind.event_type;
    if upcasters.len() as u64 + 1 != u64::from(version) {
        let upcasters = upcasters.len();
        broken.push(LockFault::Upcasters {
            event,
            version,
            upcasters,
        });
        return;
    }
    let newest = file.newest(name);
    if newest > version {
        broken.push(LockFault::Lowered {
            event,
            locked: newest,
            version,
        });
        return;
    }
    let locked = file.form(name, version);
    let locked = locked.as_ref().unwrap_or(&kind.written);
    let mut found = faults(locked, &kind.read);
    // What is not stored yet must be read as well.
    for fault in faults(&kind.written, &kind.read) {
        if !found.contains(&fault) {
            found.push(fault);
        }
    }
    broken.extend(found.into_iter().map(|fault| LockFault::Unreadable {
        event: event.clone(),
        version,
        field: fault.path,
        reason: fault.reason,
    }));
    file.put(name, version, merged(locked, &kind.written));
    file.personal(name, kind.event_type.personal);
}
