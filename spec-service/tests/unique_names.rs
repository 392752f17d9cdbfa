//! A property test: no two specifications that are not deleted have the same name in a namespace.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use factum::Decide as _;
use factum::prelude::*;
use proptest::prelude::*;
use spec_service::content::{Content, DEFAULT_MAX_BYTES};
use spec_service::specs::domain::{
    CreateSpec, DeleteSpec, NameHolder, QualifiedName, Spec, SpecEvent, SpecId, SpecRejection,
    SpecState,
};
use uuid::Uuid;

#[derive(Debug, Clone)]
enum NameOperation {
    Create { spec: u128, name: usize },
    Delete { spec: u128 },
}

/// Tenants, namespaces and names.
const PATHS: [[&str; 3]; 5] = [
    ["acme", "payments", "limits"],
    ["acme", "payments", "Limits"],
    ["acme", "routing", "limits"],
    ["other", "payments", "limits"],
    ["other", "payments", "routes"],
];

fn path(index: usize) -> QualifiedName {
    let [tenant, namespace, name] = PATHS[index];
    QualifiedName {
        tenant: tenant.parse().unwrap(),
        namespace: namespace.parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

fn operations() -> impl Strategy<Value = Vec<NameOperation>> {
    let operation = prop_oneof![
        3 => (0..8_u128, 0..PATHS.len()).prop_map(|(spec, name)| NameOperation::Create { spec, name }),
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

    /// Folds the events that the tag query of a path selects.
    fn holder(&self, queried: &QualifiedName) -> NameHolder {
        let mut holder = NameHolder::default();
        for (_, event) in &self.0 {
            match event {
                SpecEvent::Created { path, .. } | SpecEvent::Deleted { path, .. }
                    if path.to_string() == queried.to_string() =>
                {
                    holder.apply(event);
                }
                _ => {}
            }
        }
        holder
    }

    /// Counts the specifications with the path that are not deleted.
    fn undeleted(&self, path: &QualifiedName) -> usize {
        let ids: BTreeSet<Uuid> = self.0.iter().map(|(id, _)| id.0).collect();
        let is_undeleted = |id: &Uuid| {
            let spec = self.spec(SpecId(*id));
            let life = spec.life().unwrap();
            life.state != SpecState::Deleted && life.path() == *path
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
                    path: path(*index),
                    author: "ada".to_owned(),
                    description: None,
                    content: Content::parse(b"a: 1\n", DEFAULT_MAX_BYTES).unwrap(),
                    reason: None,
                };
                let holder = self.holder(&create.path);
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
    fn path_belongs_to_at_most_one_undeleted_spec(operations in operations()) {
        let mut log = Log::default();
        for operation in operations {
            let (id, decided) = log.decide(&operation);
            match decided {
                Ok(events) => log.0.extend(events.as_slice().iter().cloned().map(|event| (id, event))),
                Err(SpecRejection::NameTaken { name }) => {
                    let NameOperation::Create { name: index, .. } = operation else {
                        panic!("a deletion needs no name");
                    };
                    prop_assert_eq!(&name, &path(index).name);
                    prop_assert_eq!(log.undeleted(&path(index)), 1);
                }
                Err(SpecRejection::AlreadyExists) => prop_assert!(log.spec(id).life().is_some()),
                Err(SpecRejection::NotFound) => prop_assert!(log.spec(id).life().is_none()),
                Err(SpecRejection::Deleted) => {
                    prop_assert_eq!(log.spec(id).life().unwrap().state, SpecState::Deleted);
                }
                Err(other) => prop_assert!(false, "{:?}: {other:?}", operation),
            }
            for index in 0..PATHS.len() {
                let undeleted = log.undeleted(&path(index));
                prop_assert!(undeleted <= 1);
                prop_assert_eq!(log.holder(&path(index)).taken, undeleted == 1);
            }
        }
    }
}
