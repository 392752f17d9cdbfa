//! Many changes in one append: all or none, in the test process.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use factum::Position;
use factum::prelude::*;
use factum::store::{EventStore as _, Query, Read, Store};
use factum_memory::MemoryStore;
use factum_testkit::{Faults, Faulty};
use spec_service::access::domain::Caller;
use spec_service::app::{AppError, Application, RequestContext};
use spec_service::bulk::{
    Bulk, BulkRefusal, BulkRequest, ItemResult, MAX_CHANGES, NewAction, NewChange,
};
use spec_service::specs::domain::{Spec, SpecId, SpecState};

fn context(key: Option<&str>) -> RequestContext {
    RequestContext {
        caller: Caller::development(Some("ann")),
        idempotency_key: key.map(str::to_owned),
        ..RequestContext::default()
    }
}

async fn app_on(store: impl Store) -> Application {
    let engine = Engine::new(store);
    let runtime = Runtime::builder(&engine).start().await.unwrap();
    Application::new(engine, runtime)
}

fn create(name: &str, content: &str) -> NewChange {
    any(NewAction::Create {
        namespace: None,
        name: name.to_owned(),
        content: content.as_bytes().to_vec(),
        description: None,
    })
}

fn update(id: SpecId, content: &str) -> NewChange {
    any(NewAction::Update {
        id,
        content: content.as_bytes().to_vec(),
        description: None,
    })
}

fn any(action: NewAction) -> NewChange {
    NewChange {
        action,
        expected_revision: None,
    }
}

fn request(changes: Vec<NewChange>) -> BulkRequest {
    BulkRequest {
        changes,
        dry_run: false,
        reason: Some("release 7".to_owned()),
    }
}

/// Returns the revision and the latest version, or the code of the refusal.
fn shown(items: &[ItemResult]) -> Vec<Result<(u64, u64), &'static str>> {
    let item = |item: &ItemResult| match item {
        Ok(changed) => Ok((changed.revision, changed.latest_version)),
        Err(error) => Err(error.code()),
    };
    items.iter().map(item).collect()
}

async fn count(app: &Application) -> usize {
    let read = Read::all(Query::all());
    app.engine().store().read(read).await.unwrap().events.len()
}

#[tokio::test]
async fn changes_are_made_in_order_in_one_append() {
    let app = app_on(MemoryStore::new()).await;
    let bulk = Bulk::new(app.clone(), 2_048);
    let first = vec![create("limits", "a: 1\n"), create("routes", "a: 1\n")];
    let created = bulk.change(request(first), &context(None)).await.unwrap();
    assert_eq!(shown(&created.items), [Ok((1, 1)), Ok((1, 1))]);
    let id = |index: usize| created.items[index].as_ref().unwrap().id;

    let changes = vec![
        update(id(0), "a: 2\n"),
        any(NewAction::Publish {
            id: id(0),
            version: None,
        }),
        any(NewAction::Delete { id: id(1) }),
        // The name is free again.
        create("routes", "a: 2\n"),
        any(NewAction::Deprecate {
            id: id(0),
            reason: "old".to_owned(),
        }),
    ];
    let changed = bulk.change(request(changes), &context(None)).await.unwrap();
    let expected = [Ok((2, 2)), Ok((3, 2)), Ok((2, 1)), Ok((1, 1)), Ok((4, 2))];
    assert_eq!(shown(&changed.items), expected);
    let spec = app.engine().load::<Spec>(&id(0)).await.unwrap();
    assert_eq!(spec.life().unwrap().state, SpecState::Deprecated);
    assert_eq!(count(&app).await, 7);
    let history = app.engine().history::<Spec>(&id(0)).await.unwrap();
    let metadata = &history[1].record.metadata;
    assert_eq!(
        (metadata.actor.as_deref(), metadata.reason.as_deref()),
        (Some("ann"), Some("release 7"))
    );
}

#[tokio::test]
async fn refused_change_prevents_all_others() {
    let app = app_on(MemoryStore::new()).await;
    let bulk = Bulk::new(app.clone(), 2_048);
    let created = bulk
        .change(request(vec![create("limits", "a: 1\n")]), &context(None))
        .await
        .unwrap();
    let id = created.items[0].as_ref().unwrap().id;
    let changes = || {
        let mut outdated = update(id, "a: 3\n");
        outdated.expected_revision = Some(7);
        vec![
            create("limits", "a: 1\n"),
            create("ok", "a: 1\n"),
            create("no name", "a: 1\n"),
            create("broken", "a: [\n"),
            outdated,
            any(NewAction::Publish { id, version: None }),
            update(SpecId(uuid::Uuid::nil()), "a: 1\n"),
            create("ok", "a: 2\n"),
        ]
    };
    let refused = bulk
        .change(request(changes()), &context(Some("key")))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "bulk_refused");
    let BulkRefusal::Changes {
        refused,
        total,
        first,
        others,
    } = refused.refusal().unwrap()
    else {
        panic!("another refusal");
    };
    assert_eq!((*refused, *total, first.index, others.len()), (7, 8, 0, 6));
    assert_eq!(count(&app).await, 1);

    let dry = BulkRequest {
        dry_run: true,
        ..request(changes())
    };
    let report = bulk.change(dry, &context(None)).await.unwrap();
    let expected = [
        Err("name_taken"),
        Ok((1, 1)),
        Err("invalid_name"),
        Err("yaml_syntax"),
        Err("revision_mismatch"),
        Err("not_checked"),
        Err("not_found"),
        Err("name_taken"),
    ];
    assert_eq!(shown(&report.items), expected);
    assert_eq!((report.position, report.refused()), (None, 7));
    assert_eq!(count(&app).await, 1);
}

#[tokio::test]
async fn repeated_key_returns_the_first_result() {
    let app = app_on(MemoryStore::new()).await;
    let bulk = Bulk::new(app.clone(), 2_048);
    let changes = || vec![create("limits", "a: 1\n"), create("routes", "b: 1\n")];
    let first = bulk
        .change(request(changes()), &context(Some("key")))
        .await
        .unwrap();
    let id = first.items[0].as_ref().unwrap().id;
    bulk.change(request(vec![update(id, "a: 2\n")]), &context(None))
        .await
        .unwrap();
    let repeated = bulk
        .change(request(changes()), &context(Some("key")))
        .await
        .unwrap();
    assert_eq!(repeated.items, first.items);
    assert_eq!(repeated.position, first.position);
    assert_eq!(count(&app).await, 3);
    let other = bulk
        .change(request(vec![create("x", "a: 1\n")]), &context(Some("key")))
        .await;
    assert!(matches!(other, Err(AppError::KeyReused { .. })));
}

#[tokio::test]
async fn number_and_size_of_changes_are_limited() {
    let bulk = Bulk::new(app_on(MemoryStore::new()).await, 1 << 20);
    let none = bulk
        .change(request(Vec::new()), &context(None))
        .await
        .unwrap_err();
    assert_eq!(
        none.to_string(),
        "invalid number of changes: 0; a request has 1 to 500"
    );
    let many = (0..=MAX_CHANGES)
        .map(|number| create(&format!("s{number}"), "a: 1\n"))
        .collect();
    let many = bulk
        .change(request(many), &context(None))
        .await
        .unwrap_err();
    assert_eq!(many.code(), "bulk_count");
    let content = format!("a: {}\n", "x".repeat(1 << 20));
    let large = (0..16)
        .map(|number| create(&format!("s{number}"), &content))
        .collect();
    let large = bulk
        .change(request(large), &context(None))
        .await
        .unwrap_err();
    assert_eq!(large.code(), "bulk_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_changes_are_all_or_nothing_under_faults() {
    let memory = MemoryStore::new();
    let (mut stored, mut failed) = (0, 0);
    // The request reads 500 streams, so a fault of each read would end every request before its append.
    let faults = Faults {
        reads: 0.0,
        ..Faults::default()
    };
    for seed in 0..30 {
        let faulty = Faulty::new(memory.clone(), seed, faults);
        let app = app_on(faulty).await;
        let bulk = Bulk::new(app, 2_048);
        let changes = (0..MAX_CHANGES).map(|number| create(&format!("s{seed}-{number}"), "a: 1\n"));
        let result = bulk
            .change(request(changes.collect()), &context(None))
            .await;
        let found = count_of(&memory, seed).await;
        match result {
            Ok(report) => {
                assert_eq!((report.refused(), found), (0, MAX_CHANGES));
                stored += 1;
            }
            // The caller cannot know whether a failed request was stored, but it is never stored in part.
            Err(error) => {
                assert!(found == 0 || found == MAX_CHANGES, "{found}: {error}");
                failed += 1;
            }
        }
    }
    assert!(stored > 0 && failed > 0, "{stored} stored, {failed} failed");
}

/// Returns the number of specifications that the request of `seed` has created.
async fn count_of(store: &MemoryStore, seed: u64) -> usize {
    let mut names = 0;
    let mut after = Position::ZERO;
    loop {
        let page = store
            .read(Read::all(Query::all()).after(after.get()))
            .await
            .unwrap();
        for event in page.events {
            after = event.position;
            let prefix = format!("path:default/default/s{seed}-");
            names += usize::from(
                event
                    .tags
                    .iter()
                    .any(|tag| tag.as_str().starts_with(&prefix)),
            );
        }
        if !page.more {
            return names;
        }
    }
}
