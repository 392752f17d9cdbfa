//! Specifications of another tenant do not exist for a caller, and namespaces have names of their own.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/memory.rs"]
mod memory;

use factum::Position;
use factum_memory::MemoryStore;
use spec_service::access::domain::{Caller, CallerKind};
use spec_service::app::{AppError, PageQuery, RequestContext};
use spec_service::specs::app::{ListQuery, NewSpec, Specs, WriteResult};
use spec_service::specs::domain::SpecRejection;

use memory::{node_on, update};

fn caller(tenant: &str) -> RequestContext {
    RequestContext::of(Caller {
        subject: "ada".to_owned(),
        tenant: tenant.parse().unwrap(),
        kind: CallerKind::Development,
        display: None,
    })
}

async fn create(
    specs: &Specs,
    namespace: Option<&str>,
    context: &RequestContext,
) -> Result<WriteResult, AppError> {
    let new = NewSpec {
        namespace,
        name: "limits",
        content: b"limit: 1\n",
        description: None,
        reason: None,
    };
    specs.create(new, context).await
}

#[tokio::test]
async fn spec_of_another_tenant_does_not_exist() {
    let specs = node_on(&MemoryStore::new()).await;
    let (ours, theirs) = (caller("ours"), caller("theirs"));
    let id = create(&specs, None, &ours).await.unwrap().id;
    let errors = [
        specs.get(id, None, &theirs).await.unwrap_err(),
        specs.version(id, 1, &theirs).await.unwrap_err(),
        specs
            .versions(id, PageQuery::default(), &theirs)
            .await
            .unwrap_err(),
        specs
            .history(id, PageQuery::default(), &theirs)
            .await
            .unwrap_err(),
        update(&specs, id, "limit: 2\n", &theirs).await.unwrap_err(),
        specs.publish(id, None, None, &theirs).await.unwrap_err(),
        specs
            .deprecate(id, "old".to_owned(), &theirs)
            .await
            .unwrap_err(),
        specs.delete(id, None, &theirs).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.refusal(), Some(&SpecRejection::NotFound), "{error}");
    }
    assert_eq!(specs.get(id, None, &ours).await.unwrap().revision, 1);
}

#[tokio::test]
async fn tenants_share_no_names_keys_lists_or_streams() {
    let specs = node_on(&MemoryStore::new()).await;
    let mut ids = Vec::new();
    for tenant in ["ours", "theirs"] {
        let mut context = caller(tenant);
        context.idempotency_key = Some("the same key".to_owned());
        ids.push(create(&specs, None, &context).await.unwrap().id);
    }
    assert_ne!(ids[0], ids[1]);
    for (tenant, id) in ["ours", "theirs"].into_iter().zip(ids) {
        let context = caller(tenant);
        let page = specs.list(ListQuery::default(), &context).await.unwrap();
        let listed: Vec<_> = page.specs.iter().map(|spec| spec.id).collect();
        assert_eq!((listed, page.total), (vec![id], 1), "{tenant}");
        let published = specs.publish(id, None, None, &context).await.unwrap();
        let mut changes = specs.watch(Position::ZERO, &context);
        for revision in 1..=published.revision {
            let change = changes.next().await.unwrap();
            assert_eq!(
                (change.id, change.event.record.version.get()),
                (id, revision)
            );
        }
    }
}

#[tokio::test]
async fn name_is_unique_in_its_namespace_only() {
    let specs = node_on(&MemoryStore::new()).await;
    let context = caller("ours");
    let first = create(&specs, Some("default"), &context).await.unwrap().id;
    let taken = create(&specs, None, &context).await.unwrap_err();
    assert_eq!(taken.code(), "name_taken");
    let second = create(&specs, Some("payments"), &context).await.unwrap().id;
    let invalid = create(&specs, Some("Payments"), &context)
        .await
        .unwrap_err();
    assert_eq!(
        (invalid.code(), invalid.field()),
        ("invalid_namespace", Some("namespace"))
    );
    for (namespace, id) in [("default", first), ("payments", second)] {
        let query = ListQuery {
            namespace: Some(namespace.parse().unwrap()),
            ..ListQuery::default()
        };
        let page = specs.list(query, &context).await.unwrap();
        assert_eq!((page.specs[0].id, page.total), (id, 1));
        let view = specs.get(id, None, &context).await.unwrap();
        assert_eq!(view.namespace.as_str(), namespace);
    }
    let all = specs.list(ListQuery::default(), &context).await.unwrap();
    assert_eq!(all.total, 2);
}
