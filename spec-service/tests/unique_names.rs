//! A property test: no two specifications that are not deleted have the same name.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use factum::Decide as _;
use factum::prelude::*;
use proptest::prelude::*;
use spec_service::content::{Content, DEFAULT_MAX_BYTES};
use spec_service::specs::domain::{
    CreateSpec, DeleteSpec, NameHolder, Spec, SpecEvent, SpecId, SpecName, SpecRejection, SpecState,
};
use uuid::Uuid;

#[derive(Debug, Clone)]
enum NameOperation {
    Create { spec: u128, name: usize },
    Delete { spec: u128 },
}

const NAMES: [&str; 3] = ["limits", "routes", "Limits"];

fn name(index: usize) -> SpecName {
    NAMES[index].parse().unwrap()
}

fn operations() -> impl Strategy<Value = Vec<NameOperation>> {
    let operation = prop_oneof![
        3 => (0..8_u128, 0..NAMES.len()).prop_map(|(spec, name)| NameOperation::Create { spec, name }),
        2 => (0..8_u128).prop_map(|spec| NameOperation::Delete { spec }),
    ];
    proptest::collection::vec(operation, 0..60)
}

/// The events of all specifications.
#[derive(Default)]
struct Log(Vec<(SpecId, SpecEvent)>);

impl Log {
    fn spec(&self, id: SpecId) -> Spec {
        let mut spec = Spec::default();
        let events = self.0.iter().filter(|(event_id, _)| *event_id == id);
        events.for_each(|(_, event)| spec.apply(event));
        spec
    }

    /// Folds the events that the tag query of a name selects.
    fn holder(&self, queried: &SpecName) -> NameHolder {
        let mut holder = NameHolder::default();
        for (_, event) in &self.0 {
            match event {
                SpecEvent::Created { name, .. } | SpecEvent::Deleted { name, .. }
                    if name == queried =>
                {
                    holder.apply(event);
                }
                _ => {}
            }
        }
        holder
    }

    /// Counts the specifications with the name that are not deleted.
    fn undeleted(&self, name: &SpecName) -> usize {
        let ids: BTreeSet<Uuid> = self.0.iter().map(|(id, _)| id.0).collect();
        let is_undeleted = |id: &Uuid| {
            let spec = self.spec(SpecId(*id));
            let life = spec.life().unwrap();
            life.state != SpecState::Deleted && life.name == *name
        };
        ids.iter().filter(|id| is_undeleted(id)).count()
    }

    fn decide(
        &self,
        operation: &NameOperation,
    ) -> (SpecId, Result<Events<SpecEvent>, SpecRejection>) {
        match operation {
            NameOperation::Create { spec, name: index } => {
                let id = SpecId(Uuid::from_u128(*spec));
                let create = CreateSpec {
                    spec: id,
                    name: name(*index),
                    description: None,
                    content: Content::parse(b"a: 1\n", DEFAULT_MAX_BYTES).unwrap(),
                    reason: None,
                };
                let holder = self.holder(&create.name);
                (id, create.decide((&self.spec(id), &holder)))
            }
            NameOperation::Delete { spec } => {
                let id = SpecId(Uuid::from_u128(*spec));
                let delete = DeleteSpec {
                    spec: id,
                    reason: None,
                };
                (id, delete.decide(&self.spec(id)))
            }
        }
    }
}

proptest! {
    #[test]
    fn name_belongs_to_at_most_one_undeleted_spec(operations in operations()) {
        let mut log = Log::default();
        for operation in operations {
            let (id, decided) = log.decide(&operation);
            match decided {
                Ok(events) => log.0.extend(events.as_slice().iter().cloned().map(|event| (id, event))),
                Err(SpecRejection::NameTaken { name }) => prop_assert_eq!(log.undeleted(&name), 1),
                Err(SpecRejection::AlreadyExists) => prop_assert!(log.spec(id).life().is_some()),
                Err(SpecRejection::NotFound) => prop_assert!(log.spec(id).life().is_none()),
                Err(SpecRejection::Deleted) => {
                    prop_assert_eq!(log.spec(id).life().unwrap().state, SpecState::Deleted);
                }
                Err(other) => prop_assert!(false, "{:?}: {other:?}", operation),
            }
            for index in 0..NAMES.len() {
                let undeleted = log.undeleted(&name(index));
                prop_assert!(undeleted <= 1);
                prop_assert_eq!(log.holder(&name(index)).taken, undeleted == 1);
            }
        }
    }
}
