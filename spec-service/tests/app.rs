//! The application functions: writes, reads, rejections, lists and the stream of changes.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/memory.rs"]
mod memory;

use factum::Position;
use factum::prelude::*;
use factum_memory::MemoryStore;
use spec_service::access::domain::{NamespaceId, TenantId};
use spec_service::app::{AppError, Cursor, PageQuery, RequestContext};
use spec_service::content::{Content, DEFAULT_MAX_BYTES, MAX_BYTES_LIMIT};
use spec_service::specs::app::{ListQuery, NewVersion, Specs, WriteResult};
use spec_service::specs::domain::{
    QualifiedName, Spec, SpecEvent, SpecId, SpecRejection, SpecState,
};

use memory::{by, create, node_on, node_with_broken_projection, update};

#[tokio::test]
async fn writes_and_reads_return_the_current_state() {
    let specs = node_on(&MemoryStore::new()).await;
    let created = create(&specs, "limits", &by("ann")).await.unwrap();
    let id = created.id;
    let expected = |latest_version, published_version, state, revision| WriteResult {
        id,
        latest_version,
        published_version,
        state,
        revision,
        position: Position::new(revision),
    };
    assert_eq!(created, expected(1, None, SpecState::Draft, 1));
    let published = specs.publish(id, None, None, &by("bob")).await.unwrap();
    assert_eq!(published, expected(1, Some(1), SpecState::Published, 2));
    let updated = update(&specs, id, "limit: 2\n", &by("eve")).await.unwrap();
    assert_eq!(updated, expected(2, Some(1), SpecState::Published, 3));

    let spec = specs
        .get(id, None, &RequestContext::default())
        .await
        .unwrap();
    assert_eq!((spec.version, spec.content.as_str()), (1, "limit: 1\n"));
    assert_eq!((&*spec.created_by, &*spec.updated_by), ("ann", "bob"));
    assert!(spec.created_at <= spec.updated_at);
    let draft = specs
        .get(id, Some(2), &RequestContext::default())
        .await
        .unwrap();
    assert_eq!(
        (draft.content.as_str(), &*draft.updated_by),
        ("limit: 2\n", "eve")
    );
    let versions = specs
        .versions(id, PageQuery::default(), &RequestContext::default())
        .await
        .unwrap();
    let versions: Vec<_> = versions
        .items
        .iter()
        .map(|version| {
            (
                version.version,
                version.content.as_str(),
                &*version.created_by,
            )
        })
        .collect();
    assert_eq!(
        versions,
        [(1, "limit: 1\n", "ann"), (2, "limit: 2\n", "eve")]
    );

    let deprecated = specs.deprecate(id, "old".to_owned(), &by("bob")).await;
    assert_eq!(
        deprecated.unwrap(),
        expected(2, Some(1), SpecState::Deprecated, 4)
    );
}

#[tokio::test]
async fn deleted_spec_keeps_its_history() {
    let specs = node_on(&MemoryStore::new()).await;
    let id = create(&specs, "limits", &RequestContext::default())
        .await
        .unwrap()
        .id;
    let reason = Some(" no use ".to_owned());
    specs.delete(id, reason, &by("bob")).await.unwrap();

    let deleted = specs
        .get(id, None, &RequestContext::default())
        .await
        .unwrap();
    assert_eq!(
        (deleted.state, &*deleted.updated_by),
        (SpecState::Deleted, "bob")
    );
    let history = specs
        .history(id, PageQuery::default(), &RequestContext::default())
        .await
        .unwrap()
        .items;
    let changes: Vec<_> = history
        .iter()
        .map(|change| (&*change.event.record.name, change.actor(), change.reason()))
        .collect();
    let expected = [
        ("spec.created", "anonymous".to_owned(), None),
        ("spec.deleted", "bob".to_owned(), Some("no use")),
    ];
    assert_eq!(changes, expected);
    assert_eq!(deleted.updated_at, history[1].event.record.recorded_at);

    let rejected = update(&specs, id, "limit: 2\n", &by("ann"))
        .await
        .unwrap_err();
    assert_eq!(rejected.refusal(), Some(&SpecRejection::Deleted));
    let same_name = create(&specs, "limits", &by("ann")).await.unwrap();
    assert_ne!(same_name.id, id);
    let history = specs
        .history(id, PageQuery::default(), &RequestContext::default())
        .await
        .unwrap();
    assert_eq!(history.items.len(), 2);
}

/// Adds a version with a description.
async fn describe(specs: &Specs, id: SpecId, description: &str, actor: &str) {
    let new = NewVersion {
        content: b"limit: 2\n",
        description: Some(description.to_owned()),
        reason: None,
        expected_version: None,
    };
    let updated = specs.update(id, new, &by(actor)).await;
    updated.expect("the state allows an update");
}

#[tokio::test]
async fn draft_does_not_show_through_the_published_version() {
    let specs = node_on(&MemoryStore::new()).await;
    let id = create(&specs, "limits", &by("ann")).await.unwrap().id;
    // Without a published version, the latest one is shown.
    describe(&specs, id, "for adults", "ann").await;
    let shown = async || {
        let view = specs
            .get(id, None, &RequestContext::default())
            .await
            .unwrap();
        let listed = specs
            .list(ListQuery::default(), &RequestContext::default())
            .await
            .unwrap()
            .specs
            .remove(0);
        assert_eq!(listed.description, view.description);
        assert_eq!(
            (listed.updated_at, &listed.updated_by),
            (view.updated_at, &view.updated_by)
        );
        let versions = (view.version, view.latest_version);
        (
            versions,
            view.description.unwrap_or_default(),
            view.updated_by,
        )
    };
    let expected = |versions, description: &str, actor: &str| {
        (versions, description.to_owned(), actor.to_owned())
    };
    assert_eq!(shown().await, expected((2, 2), "for adults", "ann"));
    specs.publish(id, None, None, &by("bob")).await.unwrap();
    describe(&specs, id, "for children", "eve").await;
    assert_eq!(shown().await, expected((2, 3), "for adults", "bob"));
    specs.publish(id, Some(1), None, &by("bob")).await.unwrap();
    assert_eq!(shown().await, expected((1, 3), "", "bob"));
    specs.publish(id, Some(3), None, &by("dan")).await.unwrap();
    assert_eq!(shown().await, expected((3, 3), "for children", "dan"));
    let draft = specs
        .get(id, Some(2), &RequestContext::default())
        .await
        .unwrap();
    assert_eq!(draft.description.as_deref(), Some("for adults"));
}

/// Creates a specification with seven versions, of which each but the first is published.
async fn seven_versions(specs: &Specs) -> SpecId {
    let id = create(specs, "limits", &by("ann"))
        .await
        .expect("the write succeeds")
        .id;
    for number in 2..=7 {
        let content = format!("limit: {number}\n");
        update(specs, id, &content, &by("ann"))
            .await
            .expect("the write succeeds");
        let published = specs.publish(id, Some(number), None, &by("ann")).await;
        published.expect("the write succeeds");
    }
    id
}

#[tokio::test]
async fn history_and_versions_are_paged() {
    let specs = node_on(&MemoryStore::new()).await;
    let id = seven_versions(&specs).await;
    let context = RequestContext::default();
    let (mut revisions, mut after) = (Vec::new(), None);
    loop {
        let query = PageQuery { limit: 4, after };
        let page = specs.history(id, query, &context).await.unwrap();
        assert!(page.items.len() <= 4);
        let found = page.items.iter();
        revisions.extend(found.map(|change| change.event.record.version.get()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(revisions, (1..=13).collect::<Vec<_>>());
    let (mut contents, mut after) = (Vec::new(), None);
    loop {
        let query = PageQuery { limit: 3, after };
        let page = specs.versions(id, query, &context).await.unwrap();
        let found = page.items.iter();
        contents.extend(found.map(|item| (item.version, item.content.to_string())));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected = (1..=7).map(|number| (number, format!("limit: {number}\n")));
    assert_eq!(contents, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn places_outside_of_a_specification_are_empty_or_refused() {
    let specs = node_on(&MemoryStore::new()).await;
    let id = seven_versions(&specs).await;
    let context = RequestContext::default();
    let version = specs.version(id, 6, &context).await.unwrap();
    assert_eq!(version.content.as_str(), "limit: 6\n");
    for version in [0, 8, u64::MAX] {
        let missing = specs.version(id, version, &context).await.unwrap_err();
        assert_eq!(missing.code(), "no_such_version");
    }
    for limit in [0, 101, usize::MAX] {
        let query = PageQuery { limit, after: None };
        let invalid = specs.history(id, query, &context).await.unwrap_err();
        assert_eq!(invalid.code(), "invalid_limit");
    }
    let after = Some(Cursor(u64::MAX));
    let versions = PageQuery { limit: 1, after };
    let versions = specs.versions(id, versions, &context).await.unwrap();
    assert_eq!(versions.items, []);
    let after = Some(Cursor(u64::MAX));
    let changes = PageQuery { limit: 1, after };
    let changes = specs.history(id, changes, &context).await.unwrap();
    assert!(changes.items.is_empty());
}

#[tokio::test]
async fn page_ends_at_a_number_of_bytes() {
    let specs = node_on(&MemoryStore::new())
        .await
        .max_content(MAX_BYTES_LIMIT);
    let id = create(&specs, "limits", &by("ann")).await.unwrap().id;
    let content = format!("text: {}\n", "x".repeat(600_000));
    for _ in 0..4 {
        update(&specs, id, &content, &by("ann")).await.unwrap();
    }
    let versions = specs
        .versions(id, PageQuery::default(), &RequestContext::default())
        .await
        .unwrap();
    assert_eq!((versions.items.len(), versions.next), (3, Some(Cursor(3))));
    let history = specs
        .history(id, PageQuery::default(), &RequestContext::default())
        .await
        .unwrap();
    assert_eq!((history.items.len(), history.next), (3, Some(Cursor(3))));
}

#[test]
fn state_has_no_contents() {
    let content = "x".repeat(2_000);
    let event = |name: Option<&str>| match name {
        Some(name) => SpecEvent::Created {
            path: QualifiedName {
                tenant: TenantId::default(),
                namespace: NamespaceId::default(),
                name: name.parse().unwrap(),
            },
            author: "ada".to_owned(),
            description: Some(content.clone()),
            content: Content::parse(content.as_bytes(), DEFAULT_MAX_BYTES).unwrap(),
        },
        None => SpecEvent::Updated {
            author: "ada".to_owned(),
            description: Some(content.clone()),
            content: Content::parse(content.as_bytes(), DEFAULT_MAX_BYTES).unwrap(),
        },
    };
    let mut spec = Spec::default();
    spec.apply(&event(Some("limits")));
    for _ in 0..1_000 {
        spec.apply(&event(None));
    }
    let snapshot = serde_json::to_string(&spec).unwrap();
    assert!(snapshot.len() < 10_000, "{} bytes", snapshot.len());
}

#[tokio::test]
async fn error_has_code_and_field() {
    let specs = node_on(&MemoryStore::new()).await;
    let id = create(&specs, "limits", &by("ann")).await.unwrap().id;
    let code_and_field = |error: AppError| (error.code(), error.field());
    let name = create(&specs, "no name", &by("ann")).await.unwrap_err();
    assert_eq!(code_and_field(name), ("invalid_name", Some("name")));
    let taken = create(&specs, "limits", &by("ann")).await.unwrap_err();
    assert_eq!(taken.facts(), [("name", "limits".into())]);
    assert_eq!(code_and_field(taken), ("name_taken", None));
    let content = update(&specs, id, "a: 1\na: 2\n", &by("ann"))
        .await
        .unwrap_err();
    assert_eq!(
        content.facts(),
        [
            ("line", 2.into()),
            ("column", 1.into()),
            ("document", 1.into())
        ]
    );
    assert_eq!(content.field(), Some("content"));
    let draft = specs.deprecate(id, "old".to_owned(), &by("ann")).await;
    assert_eq!(
        code_and_field(draft.unwrap_err()),
        ("illegal_transition", None)
    );
    specs.publish(id, None, None, &by("ann")).await.unwrap();
    let reason = specs.deprecate(id, " ".to_owned(), &by("ann")).await;
    assert_eq!(
        code_and_field(reason.unwrap_err()),
        ("reason_missing", Some("reason"))
    );
    let version = specs
        .get(id, Some(7), &RequestContext::default())
        .await
        .unwrap_err();
    assert_eq!(code_and_field(version), ("no_such_version", None));
}

#[tokio::test]
async fn list_shows_completed_writes() {
    let specs = node_on(&MemoryStore::new()).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let created = create(&specs, &format!("s{number}"), &by("ann"))
            .await
            .unwrap();
        ids.push(created.id);
        assert_eq!(
            specs
                .list(ListQuery::default(), &RequestContext::default())
                .await
                .unwrap()
                .total,
            number + 1
        );
    }
    specs.publish(ids[1], None, None, &by("bob")).await.unwrap();
    specs.delete(ids[3], None, &by("bob")).await.unwrap();
    let ids_in = async |state| {
        let query = ListQuery {
            state,
            ..ListQuery::default()
        };
        let page = specs.list(query, &RequestContext::default()).await.unwrap();
        page.specs.iter().map(|spec| spec.id).collect::<Vec<_>>()
    };
    assert_eq!(ids_in(None).await, [ids[0], ids[1], ids[2], ids[4]]);
    assert_eq!(ids_in(Some(SpecState::Published)).await, [ids[1]]);
    assert_eq!(ids_in(Some(SpecState::Deleted)).await, [ids[3]]);

    let mut query = ListQuery {
        limit: 3,
        ..ListQuery::default()
    };
    let first = specs
        .list(query.clone(), &RequestContext::default())
        .await
        .unwrap();
    assert_eq!((first.specs.len(), first.total), (3, 4));
    query.after = Some(first.next.unwrap().to_string().parse().unwrap());
    let second = specs.list(query, &RequestContext::default()).await.unwrap();
    assert_eq!((second.specs[0].id, second.next), (ids[4], None));
}

#[tokio::test]
async fn write_succeeds_with_a_stopped_list() {
    let (app, specs) = node_with_broken_projection().await;
    let created = create(&specs, "limits", &by("ann")).await.unwrap();
    assert_eq!(
        specs
            .get(created.id, None, &RequestContext::default())
            .await
            .unwrap()
            .revision,
        1
    );
    let health = app.health().await;
    assert_eq!((health.store.clone(), health.lag()), (Ok(()), 1));
    assert!(!health.is_ready(u64::MAX));
    let error = health.projections[0].last_error.as_deref().unwrap();
    assert!(error.contains("the disk is full"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_has_no_gap_between_stored_and_new_changes() {
    let specs = node_on(&MemoryStore::new()).await;
    let id = create(&specs, "limits", &by("ann")).await.unwrap().id;
    for number in 2..=10 {
        update(&specs, id, &format!("limit: {number}\n"), &by("ann"))
            .await
            .unwrap();
    }
    let mut all = specs.watch(Position::ZERO, &RequestContext::default());
    let mut from_five = specs.watch(Position::new(5), &RequestContext::default());
    let writer = specs.clone();
    let writing = tokio::spawn(async move {
        for number in 11..=60 {
            update(&writer, id, &format!("limit: {number}\n"), &by("bob"))
                .await
                .unwrap();
        }
        writer.delete(id, None, &by("bob")).await.unwrap();
    });
    for position in 1..=61 {
        let change = all.next().await.unwrap();
        assert_eq!(
            (change.id, change.event.record.position.get()),
            (id, position)
        );
        let actor = if position <= 10 { "ann" } else { "bob" };
        assert_eq!(change.actor(), actor);
        assert_eq!(
            matches!(change.event.event, SpecEvent::Deleted { .. }),
            position == 61
        );
    }
    // The requested position is included.
    assert_eq!(
        from_five.next().await.unwrap().event.record.position,
        Position::new(5)
    );
    writing.await.unwrap();
}

#[tokio::test]
async fn reason_that_cannot_be_stored_is_the_callers_error() {
    let specs = node_on(&MemoryStore::new()).await;
    let id = create(&specs, "limits", &by("ann")).await.unwrap().id;
    let told = specs.delete(id, Some("a\0b".to_owned()), &by("ann")).await;
    assert_eq!(told.unwrap_err().code(), "invalid_text");
    assert_eq!(
        specs
            .get(id, None, &RequestContext::default())
            .await
            .unwrap()
            .state,
        SpecState::Draft
    );
}
