//! The law of names: whatever is asked, in whatever order, no two living specifications share one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use factum::Decide as _;
use factum::prelude::*;
use proptest::prelude::*;
use spec_service::domain::{
    Content, CreateSpec, DEFAULT_MAX_BYTES, DeleteSpec, NameHolder, Rejection, Spec, SpecEvent,
    SpecId, SpecName, SpecState,
};
use uuid::Uuid;

#[derive(Debug, Clone)]
enum Step {
    Create { spec: u128, name: usize },
    Delete { spec: u128 },
}

const NAMES: [&str; 3] = ["limits", "routes", "Limits"];

fn name(index: usize) -> SpecName {
    NAMES[index].parse().unwrap()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..8_u128, 0..NAMES.len()).prop_map(|(spec, name)| Step::Create { spec, name }),
        2 => (0..8_u128).prop_map(|spec| Step::Delete { spec }),
    ];
    proptest::collection::vec(step, 0..60)
}

/// Everything that happened, to all specifications.
#[derive(Default)]
struct Log(Vec<(SpecId, SpecEvent)>);

impl Log {
    fn spec(&self, id: SpecId) -> Spec {
        let mut spec = Spec::default();
        let of_it = self.0.iter().filter(|(of, _)| *of == id);
        of_it.for_each(|(_, event)| spec.apply(event));
        spec
    }

    /// What the tag query of a name finds.
    fn holder(&self, wanted: &SpecName) -> NameHolder {
        let mut holder = NameHolder::default();
        for (_, event) in &self.0 {
            match event {
                SpecEvent::Created { name, .. } | SpecEvent::Deleted { name, .. }
                    if name == wanted =>
                {
                    holder.apply(event);
                }
                _ => {}
            }
        }
        holder
    }

    fn living(&self, wanted: &SpecName) -> usize {
        let ids: BTreeSet<Uuid> = self.0.iter().map(|(id, _)| id.0).collect();
        let lives = |id: &Uuid| {
            let spec = self.spec(SpecId(*id));
            let life = spec.life().unwrap();
            life.state != SpecState::Deleted && life.name == *wanted
        };
        ids.iter().filter(|id| lives(id)).count()
    }

    fn decide(&self, step: &Step) -> (SpecId, Result<Events<SpecEvent>, Rejection>) {
        match step {
            Step::Create { spec, name: index } => {
                let id = SpecId(Uuid::from_u128(*spec));
                let create = CreateSpec {
                    spec: id,
                    name: name(*index),
                    description: None,
                    content: Content::parse(b"a: 1\n", DEFAULT_MAX_BYTES).unwrap(),
                };
                let holder = self.holder(&create.name);
                (id, create.decide((&self.spec(id), &holder)))
            }
            Step::Delete { spec } => {
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
    fn a_name_is_held_by_one_living_specification_at_most(steps in steps()) {
        let mut log = Log::default();
        for step in steps {
            let (id, decided) = log.decide(&step);
            match decided {
                Ok(events) => log.0.extend(events.as_slice().iter().cloned().map(|event| (id, event))),
                Err(Rejection::NameTaken { name }) => prop_assert_eq!(log.living(&name), 1),
                Err(Rejection::AlreadyExists) => prop_assert!(log.spec(id).life().is_some()),
                Err(Rejection::NotFound) => prop_assert!(log.spec(id).life().is_none()),
                Err(Rejection::Deleted) => {
                    prop_assert_eq!(log.spec(id).life().unwrap().state, SpecState::Deleted);
                }
                Err(other) => prop_assert!(false, "{:?} gave {other:?}", step),
            }
            for index in 0..NAMES.len() {
                let living = log.living(&name(index));
                prop_assert!(living <= 1);
                prop_assert_eq!(log.holder(&name(index)).taken, living == 1);
            }
        }
    }
}
