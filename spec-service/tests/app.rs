//! The application functions: writes, reads, rejections, lists and the stream of changes.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/memory.rs"]
mod memory;

use factum::Position;
use factum_memory::MemoryStore;
use spec_service::app::{AppError, ListQuery, RequestContext, WriteResult};
use spec_service::domain::{SpecEvent, SpecRejection, SpecState};

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

    let spec = specs.get(id, None).await.unwrap();
    assert_eq!((spec.version, spec.content.as_str()), (1, "limit: 1\n"));
    assert_eq!((&*spec.created_by, &*spec.updated_by), ("ann", "eve"));
    assert!(spec.created_at <= spec.updated_at);
    assert_eq!(
        specs.get(id, Some(2)).await.unwrap().content.as_str(),
        "limit: 2\n"
    );
    let versions = specs.versions(id).await.unwrap();
    let versions: Vec<_> = versions
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

    let deleted = specs.get(id, None).await.unwrap();
    assert_eq!(
        (deleted.state, &*deleted.updated_by),
        (SpecState::Deleted, "bob")
    );
    let history = specs.history(id).await.unwrap();
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
    assert!(matches!(
        rejected,
        AppError::Rejected(SpecRejection::Deleted)
    ));
    let same_name = create(&specs, "limits", &by("ann")).await.unwrap();
    assert_ne!(same_name.id, id);
    assert_eq!(specs.history(id).await.unwrap().len(), 2);
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
    assert_eq!(content.facts(), [("line", 2.into()), ("column", 1.into())]);
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
    let version = specs.get(id, Some(7)).await.unwrap_err();
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
            specs.list(ListQuery::default()).await.unwrap().total,
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
        let page = specs.list(query).await.unwrap();
        page.specs.iter().map(|spec| spec.id).collect::<Vec<_>>()
    };
    assert_eq!(ids_in(None).await, [ids[0], ids[1], ids[2], ids[4]]);
    assert_eq!(ids_in(Some(SpecState::Published)).await, [ids[1]]);
    assert_eq!(ids_in(Some(SpecState::Deleted)).await, [ids[3]]);

    let mut query = ListQuery {
        limit: 3,
        ..ListQuery::default()
    };
    let first = specs.list(query).await.unwrap();
    assert_eq!((first.specs.len(), first.total), (3, 4));
    query.after = Some(first.next.unwrap().to_string().parse().unwrap());
    let second = specs.list(query).await.unwrap();
    assert_eq!((second.specs[0].id, second.next), (ids[4], None));
}

#[tokio::test]
async fn write_succeeds_with_a_stopped_list() {
    let specs = node_with_broken_projection().await;
    let created = create(&specs, "limits", &by("ann")).await.unwrap();
    assert_eq!(specs.get(created.id, None).await.unwrap().revision, 1);
    let health = specs.health().await;
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
    let mut all = specs.watch(Position::ZERO);
    let mut from_five = specs.watch(Position::new(5));
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
