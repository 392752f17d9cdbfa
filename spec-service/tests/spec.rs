//! The rules of the domain, tested without a store.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use factum::Decide;
use factum::prelude::*;
use factum_testkit::given;
use proptest::prelude::*;
use spec_service::access::domain::{NamespaceId, TenantId};
use spec_service::content::{Content, DEFAULT_MAX_BYTES};
use spec_service::specs::domain::{
    Action, CreateSpec, DeleteSpec, DeprecateSpec, MAX_TEXT, NameHolder, PublishSpec,
    QualifiedName, Spec, SpecEvent, SpecId, SpecRejection, SpecState, UpdateSpec,
};
use uuid::Uuid;

const SPEC: SpecId = SpecId(Uuid::from_u128(7));

fn content(number: u64) -> Content {
    Content::parse(format!("number: {number}\n").as_bytes(), DEFAULT_MAX_BYTES).unwrap()
}

fn path() -> QualifiedName {
    QualifiedName {
        tenant: TenantId::default(),
        namespace: NamespaceId::default(),
        name: "limits".parse().unwrap(),
    }
}

fn created() -> SpecEvent {
    SpecEvent::Created {
        path: path(),
        author: "ada".to_owned(),
        description: Some("what it is for".to_owned()),
        content: content(1),
    }
}

fn updated(number: u64) -> SpecEvent {
    SpecEvent::Updated {
        author: "ada".to_owned(),
        description: Some("what it is for".to_owned()),
        content: content(number),
    }
}

fn published(version: u64) -> SpecEvent {
    SpecEvent::Published { version }
}

fn deprecated() -> SpecEvent {
    SpecEvent::Deprecated {
        reason: "old".to_owned(),
    }
}

fn deleted() -> SpecEvent {
    SpecEvent::Deleted {
        path: path(),
        reason: None,
    }
}

fn create() -> CreateSpec {
    CreateSpec {
        spec: SPEC,
        path: path(),
        author: "ada".to_owned(),
        description: Some("  what it is for \n".to_owned()),
        content: content(1),
        reason: None,
    }
}

fn update(number: u64) -> UpdateSpec {
    UpdateSpec {
        spec: SPEC,
        author: "ada".to_owned(),
        content: content(number),
        description: None,
        expected_version: None,
        reason: None,
    }
}

fn publish(version: Option<u64>) -> PublishSpec {
    PublishSpec {
        spec: SPEC,
        version,
        reason: None,
    }
}

fn deprecate(reason: &str) -> DeprecateSpec {
    DeprecateSpec {
        spec: SPEC,
        reason: reason.to_owned(),
    }
}

fn delete() -> DeleteSpec {
    DeleteSpec {
        spec: SPEC,
        reason: None,
    }
}

/// Folds `history` into a specification.
fn after(history: &[SpecEvent]) -> Spec {
    let mut spec = Spec::default();
    history.iter().for_each(|event| spec.apply(event));
    spec
}

fn holder(history: &[SpecEvent]) -> NameHolder {
    let mut holder = NameHolder::default();
    history.iter().for_each(|event| holder.apply(event));
    holder
}

fn rejected(
    history: &[SpecEvent],
    command: &impl Decide<Error = SpecRejection, On = Spec>,
) -> SpecRejection {
    command.decide(&after(history)).map(drop).unwrap_err()
}

#[test]
fn create_makes_a_draft() {
    let events = create()
        .decide((&Spec::default(), &NameHolder::default()))
        .unwrap();
    assert_eq!(events.as_slice(), [created()]);
    let spec = after(&[created()]);
    let life = spec.life().unwrap();
    assert_eq!(
        (life.state, life.latest(), life.published),
        (SpecState::Draft, 1, None)
    );
}

#[test]
fn name_belongs_to_one_undeleted_spec() {
    let of = |history: &[SpecEvent]| {
        create()
            .decide((&Spec::default(), &holder(history)))
            .map(drop)
    };
    assert_eq!(
        of(&[created()]),
        Err(SpecRejection::NameTaken { name: path().name })
    );
    assert_eq!(
        of(&[created(), deprecated()]),
        Err(SpecRejection::NameTaken { name: path().name })
    );
    assert_eq!(of(&[created(), deleted()]), Ok(()));
    assert_eq!(
        of(&[created(), deleted(), created()]),
        Err(SpecRejection::NameTaken { name: path().name })
    );
    let again = create().decide((&after(&[created()]), &NameHolder::default()));
    assert_eq!(again.map(drop), Err(SpecRejection::AlreadyExists));
}

#[test]
fn update_adds_a_version_and_keeps_the_published_one() {
    given([created()]).when(update(2)).then([updated(2)]);
    given([created(), published(1)])
        .when(update(2))
        .then([updated(2)]);
    // An equal content also adds a version.
    given([created()]).when(update(1)).then([updated(1)]);
    let spec = after(&[created(), published(1), updated(2)]);
    let life = spec.life().unwrap();
    assert_eq!(
        (life.state, life.latest(), life.published),
        (SpecState::Published, 2, Some(1))
    );
    assert_eq!(
        (
            life.revision_of(1),
            life.revision_of(2),
            life.revision_of(3)
        ),
        (Some(1), Some(3), None)
    );
    assert_eq!(life.revision_of(0), None);
    assert_eq!((life.revision, life.state_revision), (3, 2));
}

#[test]
fn update_keeps_replaces_or_removes_the_description() {
    let with = |description: Option<&str>| UpdateSpec {
        description: description.map(str::to_owned),
        ..update(2)
    };
    let event = |description: Option<&str>| SpecEvent::Updated {
        author: "ada".to_owned(),
        description: description.map(str::to_owned),
        content: content(2),
    };
    given([created()])
        .when(with(None))
        .then([event(Some("what it is for"))]);
    given([created()])
        .when(with(Some("other")))
        .then([event(Some("other"))]);
    given([created()]).when(with(Some(" "))).then([event(None)]);
    let long = with(Some(&"\u{e9}".repeat(MAX_TEXT + 1)));
    let too_long = SpecRejection::TooLong {
        field: "description",
        limit: MAX_TEXT,
        actual: MAX_TEXT + 1,
    };
    given([created()]).when(long).then_rejected(too_long);
    given([created()])
        .when(with(Some(&"\u{e9}".repeat(MAX_TEXT))))
        .then([event(Some(&"\u{e9}".repeat(MAX_TEXT)))]);
}

#[test]
fn update_rejects_an_outdated_expected_version() {
    let expecting = |expected_version| UpdateSpec {
        expected_version: Some(expected_version),
        ..update(3)
    };
    given([created(), updated(2)])
        .when(expecting(2))
        .then([updated(3)]);
    let stale = SpecRejection::VersionMismatch {
        expected: 1,
        latest: 2,
    };
    given([created(), updated(2)])
        .when(expecting(1))
        .then_rejected(stale);
}

#[test]
fn publish_accepts_any_unpublished_version() {
    given([created(), updated(2)])
        .when(publish(None))
        .then([published(2)]);
    given([created(), updated(2)])
        .when(publish(Some(1)))
        .then([published(1)]);
    // An older version can be published again.
    given([created(), updated(2), published(2)])
        .when(publish(Some(1)))
        .then([published(1)]);
    let already = SpecRejection::AlreadyPublished { version: 2 };
    given([created(), updated(2), published(2)])
        .when(publish(None))
        .then_rejected(already);
    for requested in [0, 3, u64::MAX] {
        let missing = SpecRejection::NoSuchVersion {
            requested,
            latest: 2,
        };
        given([created(), updated(2)])
            .when(publish(Some(requested)))
            .then_rejected(missing);
    }
}

#[test]
fn deprecate_requires_published_state_and_reason() {
    given([created(), published(1)])
        .when(deprecate(" old "))
        .then([deprecated()]);
    given([created(), published(1)])
        .when(deprecate(" \n"))
        .then_rejected(SpecRejection::NoReason);
    let draft = SpecRejection::NotAllowed {
        state: SpecState::Draft,
        action: Action::Deprecate,
        allowed: &[Action::Update, Action::Publish, Action::Delete],
    };
    assert_eq!(
        draft.to_string(),
        "cannot deprecate a draft specification; allowed: update, publish, delete"
    );
    given([created()])
        .when(deprecate("old"))
        .then_rejected(draft);
}

#[test]
fn delete_is_allowed_once_in_any_state() {
    given([created()]).when(delete()).then([deleted()]);
    given([created(), published(1)])
        .when(delete())
        .then([deleted()]);
    given([created(), published(1), deprecated()])
        .when(delete())
        .then([deleted()]);
    let deleted = [created(), deleted()];
    assert_eq!(rejected(&deleted, &delete()), SpecRejection::Deleted);
    assert_eq!(rejected(&deleted, &update(2)), SpecRejection::Deleted);
    assert_eq!(rejected(&deleted, &publish(None)), SpecRejection::Deleted);
    assert_eq!(rejected(&deleted, &deprecate("r")), SpecRejection::Deleted);
    assert_eq!(rejected(&[], &delete()), SpecRejection::NotFound);
}

#[derive(Debug, Clone)]
enum Operation {
    Update(u64),
    Publish(Option<u64>),
    Deprecate,
    Delete,
}

impl Operation {
    fn action(&self) -> Action {
        match self {
            Self::Update(_) => Action::Update,
            Self::Publish(_) => Action::Publish,
            Self::Deprecate => Action::Deprecate,
            Self::Delete => Action::Delete,
        }
    }

    fn decide(&self, spec: &Spec) -> Result<Vec<SpecEvent>, SpecRejection> {
        let events = match self {
            Self::Update(number) => update(*number).decide(spec),
            Self::Publish(version) => publish(*version).decide(spec),
            Self::Deprecate => deprecate("r").decide(spec),
            Self::Delete => delete().decide(spec),
        };
        events.map(|events| events.as_slice().to_vec())
    }
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        4 => (0..100_u64).prop_map(Operation::Update),
        4 => proptest::option::of(0..6_u64).prop_map(Operation::Publish),
        1 => Just(Operation::Deprecate),
        1 => Just(Operation::Delete),
    ];
    proptest::collection::vec(operation, 0..40)
}

proptest! {
    #[test]
    fn random_commands_never_violate_the_rules(operations in operations()) {
        let mut spec = after(&[created()]);
        let (mut revision, mut versions) = (1, vec![1]);
        for operation in operations {
            let before = spec.life().unwrap().clone();
            let decided = operation.decide(&spec);
            let allowed = Action::allowed_in(before.state).contains(&operation.action());
            match &decided {
                Ok(events) => {
                    prop_assert!(allowed, "{:?} was accepted in state {}", operation, before.state);
                    events.iter().for_each(|event| spec.apply(event));
                }
                Err(SpecRejection::NotAllowed { state, .. }) => {
                    prop_assert_eq!(*state, before.state);
                    prop_assert!(!allowed);
                }
                Err(SpecRejection::Deleted) => prop_assert_eq!(before.state, SpecState::Deleted),
                Err(SpecRejection::NoSuchVersion { requested, latest }) => {
                    prop_assert!(*requested == 0 || requested > latest);
                }
                Err(SpecRejection::AlreadyPublished { version }) => {
                    prop_assert_eq!(before.published, Some(*version));
                }
                Err(other) => prop_assert!(false, "{:?}: {other:?}", operation),
            }
            revision += u64::from(decided.is_ok());
            if let (Operation::Update(_), Ok(_)) = (&operation, &decided) {
                versions.push(revision);
            }
            let life = spec.life().unwrap();
            // Versions are never removed, and the published version exists.
            prop_assert_eq!(&life.versions, &versions);
            prop_assert!(life.published.is_none_or(|version| life.revision_of(version).is_some()));
            prop_assert_eq!(life.revision, revision);
            prop_assert_eq!(life.state == SpecState::Draft, life.published.is_none() && life.state != SpecState::Deleted);
        }
    }
}
