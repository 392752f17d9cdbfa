//! [`Model`]: takes events into instances. A read model without tables: what an event does to an instance, and what it
//! wants done, changes together with the checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;

use super::Signals;
use super::logic::{Effect, Prepared, Reacts};
use crate::projections::dead_letter::Waits;
use crate::projections::{EventError, ProjectionError, ReadModel, Step, StepError};
use factum_core::document::{DocumentError, DocumentStore, InvalidDocumentChanges, Revision};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_engine::error::{StoreError, panic_message};
use factum_engine::process::Correlation;
use factum_engine::process::instance::{Cause, Instance, Keys};
use factum_engine::record::RecordedEvent;

pub struct Model {
    pub name: String,
    pub logic: Arc<dyn Reacts>,
    pub keys: Keys,
    pub starts_after: Position,
    pub signals: Arc<Signals>,
}

/// The longest id of an instance, in bytes.
const MAX_ID: usize = 512;

/// The name that the projection of the process manager `name` goes by.
pub fn model_name(name: &str) -> String {
    format!("process:{name}")
}

/// An instance as it was found, and as it is now.
struct Touched {
    revision: Revision,
    instance: Instance,
    /// The event that changed it last.
    by: Position,
}

/// An event, and what it means to whom.
struct Meant<'e> {
    event: &'e RecordedEvent,
    id: String,
    starts: bool,
    effect: Effect,
}

#[async_trait]
impl ReadModel for Model {
    fn name(&self) -> &str {
        &self.name
    }

    /// Always the same: a process manager never takes an event again. Its states have versions of their own.
    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        self.logic.query()
    }

    fn starts_after(&self) -> Position {
        self.starts_after
    }

    fn leaves_newer(&self) -> bool {
        true
    }

    /// The instances that it is for.
    fn about(&self, event: &RecordedEvent) -> Option<Vec<String>> {
        let prepared = catch_unwind(AssertUnwindSafe(|| self.logic.prepare(event)));
        let prepared = prepared.ok()?.ok()?.into_iter();
        let ids = prepared.filter_map(|prepared| match prepared.correlation {
            Correlation::Starts(id) | Correlation::Continues(id) => Some(id),
            Correlation::Ignored => None,
        });
        Some(ids.collect())
    }

    async fn prepare(&self, _: u64) -> Result<(), ProjectionError> {
        self.signals.poke();
        Ok(())
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        loop {
            let touched = self.take(&step).await?;
            let by: HashMap<String, Position> = touched
                .iter()
                .map(|(id, touched)| (self.keys.instance(id), touched.by))
                .collect();
            let mut changes = step.changes.clone();
            for touched in touched.into_values() {
                let kept = touched.instance.keep(&self.keys, touched.revision)?;
                changes = changes.with(kept);
            }
            match step.documents.change_documents(changes).await {
                Ok(revision) => {
                    self.signals.poke();
                    return Ok(revision);
                }
                // What is due was done meanwhile: what the events mean to its instance, they mean anew.
                Err(DocumentError::RevisionConflict { key, .. }) if by.contains_key(&key) => {}
                Err(DocumentError::Invalid(invalid)) => {
                    let position = culprit(&invalid).and_then(|key| by.get(key).copied());
                    let last = step.events.last().map(|event| event.position);
                    let Some(position) = position.or(last) else {
                        return Err(StoreError::Failed(invalid.into()).into());
                    };
                    let error: Box<dyn std::error::Error + Send + Sync> = invalid.into();
                    return Err(EventError::new(position, error).into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The document that cannot be kept.
fn culprit(invalid: &InvalidDocumentChanges) -> Option<&str> {
    match invalid {
        InvalidDocumentChanges::Key { key } | InvalidDocumentChanges::ValueTooLarge { key, .. } => {
            Some(key)
        }
        _ => None,
    }
}

impl Model {
    /// What the events of `step` make of the instances that they are for.
    async fn take(&self, step: &Step<'_>) -> Result<BTreeMap<String, Touched>, StepError> {
        let mut meant = Vec::with_capacity(step.events.len());
        for event in step.events {
            let prepared = catch_unwind(AssertUnwindSafe(|| self.logic.prepare(event)));
            let prepared = prepared.map_err(|panic| failed(event, panic_message(&*panic)))??;
            for prepared in prepared {
                meant.extend(means(event, prepared)?);
            }
        }
        let mut ids = BTreeMap::new();
        for Meant { id, event, .. } in &meant {
            ids.entry(id.clone()).or_insert(event.position);
        }
        let mut found = self.find(step.documents, ids).await?;
        let mut touched = BTreeSet::new();
        for Meant {
            event,
            id,
            starts,
            effect,
        } in meant
        {
            let Some(known) = found.get_mut(&id) else {
                continue;
            };
            if !known.instance.lives() && !starts {
                // What is parked may have started it.
                if step.obscure.is_some_and(|ahead| ahead < event.position) {
                    return Err(EventError::new(event.position, waits()).into());
                }
                continue;
            }
            if let Some(newer) = self.logic.is_newer(&known.instance) {
                let newer = ProjectionError::Handler(newer.into());
                return Err(EventError::new(event.position, newer).into());
            }
            effect(&mut known.instance, &Cause::of(event)).map_err(|fault| failed(event, fault))?;
            known.by = event.position;
            touched.insert(id);
        }
        found.retain(|id, _| touched.contains(id));
        Ok(found)
    }

    async fn find(
        &self,
        documents: &dyn DocumentStore,
        ids: BTreeMap<String, Position>,
    ) -> Result<BTreeMap<String, Touched>, StepError> {
        let new = ids.into_iter().map(|(id, by)| {
            let touched = Touched {
                revision: Revision::ABSENT,
                instance: Instance::new(&id),
                by,
            };
            (id, touched)
        });
        let mut found: BTreeMap<_, _> = new.collect();
        let keys: Vec<String> = found.keys().map(|id| self.keys.instance(id)).collect();
        for document in documents.find_documents(&keys).await? {
            let id = document.key.strip_prefix(&self.keys.instance(""));
            let Some(touched) = id.and_then(|id| found.get_mut(id)) else {
                continue;
            };
            touched.revision = document.revision;
            // What cannot be read stops no other instance: it is parked, with its stream.
            touched.instance = document
                .decode()
                .map_err(|error| EventError::new(touched.by, error))?;
        }
        Ok(found)
    }
}

/// What one event of those that `event` stands for means; `None`: nothing.
fn means(event: &RecordedEvent, prepared: Prepared) -> Result<Option<Meant<'_>>, StepError> {
    let (id, starts) = match prepared.correlation {
        Correlation::Starts(id) => (id, true),
        Correlation::Continues(id) => (id, false),
        Correlation::Ignored => return Ok(None),
    };
    if id.len() > MAX_ID || id.contains(char::is_control) {
        let rule = format!(
            "{id:?} is no id of an instance: at most {MAX_ID} bytes without control characters"
        );
        return Err(failed(event, rule));
    }
    Ok(Some(Meant {
        event,
        id,
        starts,
        effect: prepared.effect,
    }))
}

fn waits() -> ProjectionError {
    ProjectionError::Handler(Waits.into())
}

fn failed(event: &RecordedEvent, fault: String) -> StepError {
    EventError::new(event.position, fault).into()
}
