//! Cases about appends that also change documents.

use super::documents::{change, find, keys};
use super::harness::{
    Backend, all_events, append, conflict, events, join_all, numbers, page, put, stream,
};
use factum_core::append::{
    Append, AppendError, ExpectedVersion, IdempotencyKey, InvalidAppend, Violation,
};
use factum_core::document::{DocumentChanges, Revision, Scan};
use factum_core::position::Version;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::{EventStore, Store};

fn to(id: &str, number: u64) -> Append {
    Append::stream(stream(id), ExpectedVersion::Any, events([number]))
}

async fn value(store: &impl Store, key: &str) -> Option<String> {
    find(store, key).await.map(|document| document.value)
}

async fn revision(store: &impl Store, key: &str) -> Revision {
    let found = find(store, key).await;
    found.map_or(Revision::ABSENT, |document| document.revision)
}

/// An append stores its events and its document changes together, or neither.
pub async fn events_and_documents_commit_atomically<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let first = change(&store, DocumentChanges::new().put("a", "1").put("b", "1")).await;
    let both = DocumentChanges::new().put_if("a", first, "2").delete("b");
    append(&store, to("contract-a", 1).with_changes(both)).await;
    let other = backend.open().await;
    assert_eq!(value(&other, "a").await.as_deref(), Some("2"));
    assert_eq!(value(&other, "b").await, None);
    let current = find(&other, "a").await.map(|document| document.revision);
    assert!(
        current > Some(first),
        "the revision {current:?} must be greater than the earlier revision {first}"
    );
    let stale = to("contract-b", 2).with_changes(DocumentChanges::new().put_if("a", first, "3"));
    let violation = Violation::Document {
        key: "a".to_owned(),
        expected: first,
        actual: current.unwrap_or_default(),
    };
    assert_eq!(
        conflict(&store, stale.clone()).await.violations,
        [violation]
    );
    // Document violations are reported only without any other violation.
    let both = stale.and_stream(stream("contract-a"), ExpectedVersion::NoStream, events([3]));
    let violated = Violation::Version {
        stream: stream("contract-a"),
        expected: ExpectedVersion::NoStream,
        actual: Version::new(1),
    };
    assert_eq!(conflict(&store, both).await.violations, [violated]);
    let rejected = Append::stream(stream("contract-a"), ExpectedVersion::NoStream, events([4]));
    conflict(
        &store,
        rejected.with_changes(DocumentChanges::new().put("c", "1")),
    )
    .await;
    let twice = DocumentChanges::new().put("c", "1").delete("c");
    let result = store.append(to("contract-a", 5).with_changes(twice)).await;
    let invalid = matches!(result, Err(AppendError::Invalid(InvalidAppend::Changes(_))));
    assert!(
        invalid,
        "expected an error for changes that are not valid, got {result:?}"
    );
    assert_eq!(keys(&store, Scan::prefix("")).await, ["a"]);
    assert_eq!(numbers(&all_events(&store, 100).await), [1]);
    // An append without events changes documents too.
    let appended = append(
        &store,
        Append::default().with_changes(DocumentChanges::new().put("c", "1")),
    )
    .await;
    assert_eq!((appended.count, appended.position.get()), (0, 1));
    assert_eq!(keys(&other, Scan::prefix("")).await, ["a", "c"]);
}

/// An append is stored only if each document that it names is at the required revision.
///
/// This is how a change of the settings of a stream excludes the appends that depend on them.
pub async fn append_checks_the_documents_that_it_requires<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let first = DocumentChanges::new().put_if("settings", Revision::ABSENT, "1");
    append(&handles[0], to("contract-settings", 1).with_changes(first)).await;
    let first = revision(&handles[1], "settings").await;
    // An append that depends on the settings does not change them.
    let depending = |revision, number| {
        let required = match revision {
            // A document that does not exist cannot be kept, but its deletion can require that.
            Revision::ABSENT => DocumentChanges::new().delete_if("settings", revision),
            revision => DocumentChanges::new().require("settings", revision),
        };
        to("contract-a", number).with_changes(required)
    };
    append(&handles[0], depending(first, 2)).await;
    append(&handles[1], depending(first, 3)).await;
    assert_eq!(revision(&handles[0], "settings").await, first);
    let second = DocumentChanges::new().put_if("settings", first, "2");
    append(&handles[1], to("contract-settings", 4).with_changes(second)).await;
    let second = revision(&handles[0], "settings").await;
    for store in &handles {
        let violation = Violation::Document {
            key: "settings".to_owned(),
            expected: first,
            actual: second,
        };
        let rejected = conflict(store, depending(first, 90)).await;
        assert_eq!(rejected.violations, [violation]);
        conflict(store, depending(Revision::ABSENT, 91)).await;
        let deleted = DocumentChanges::new().delete_if("settings", first);
        conflict(store, to("contract-settings", 92).with_changes(deleted)).await;
        append(store, depending(second, 5)).await;
    }
    let deleted = DocumentChanges::new().delete_if("settings", second);
    append(
        &handles[0],
        to("contract-settings", 6).with_changes(deleted),
    )
    .await;
    conflict(&handles[1], depending(second, 93)).await;
    append(&handles[1], depending(Revision::ABSENT, 7)).await;
    assert_eq!(value(&handles[0], "settings").await, None);
    let stored = all_events(&handles[0], 100).await;
    assert_eq!(numbers(&stored), [1, 2, 3, 4, 5, 5, 6, 7]);
}

/// An append that is repeated with its idempotency key does not change documents again.
pub async fn repeated_append_changes_no_document<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let request = || {
        let changes = DocumentChanges::new().put_if("a", Revision::ABSENT, "1");
        let key = IdempotencyKey::new("req-7", b"one");
        to("contract-a", 1)
            .with_changes(changes)
            .idempotency_key(key)
    };
    let first = append(&store, request()).await;
    assert!(!first.repeated, "a new append is reported as repeated");
    change(&store, DocumentChanges::new().put("a", "2")).await;
    for store in [store.clone(), backend.open().await] {
        let second = append(&store, request()).await;
        assert!(second.repeated, "a repeated append is not reported as such");
        assert_eq!(value(&store, "a").await.as_deref(), Some("2"));
    }
    assert_eq!(numbers(&all_events(&store, 100).await), [1]);
}

/// If concurrent appends require one document revision, exactly one succeeds and no other append fails.
pub async fn appends_that_change_one_document_have_one_winner<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let mut revision = Revision::ABSENT;
    for round in 0..8_u64 {
        let tasks = (0..16_u64).map(|number| {
            let store = handles[number as usize % 2].clone();
            // Every fourth append changes a document of its own.
            let changes = match number % 4 {
                0 => DocumentChanges::new().put(format!("own/{round}/{number}"), "1"),
                _ => DocumentChanges::new().put_if("one", revision, number.to_string()),
            };
            let request = to(&format!("contract-{number}"), round).with_changes(changes);
            tokio::spawn(async move {
                match store.append(request).await {
                    Ok(_) => Some(number),
                    Err(AppendError::Conflict(conflict)) => {
                        let [Violation::Document { key, expected, .. }] = &conflict.violations[..]
                        else {
                            panic!("expected one violated document, got {conflict}")
                        };
                        assert_eq!((&**key, *expected), ("one", revision));
                        None
                    }
                    Err(error) => {
                        panic!("round {round}: the append must succeed or conflict, got {error:?}")
                    }
                }
            })
        });
        let stored = join_all(tasks.collect::<Vec<_>>())
            .await
            .into_iter()
            .flatten();
        let (alone, won): (Vec<u64>, Vec<u64>) = stored.partition(|number| number % 4 == 0);
        assert_eq!(
            (alone.len(), won.len()),
            (4, 1),
            "round {round}: successful appends with an own document and with the shared one"
        );
        let one = find(&handles[1], "one").await;
        let one = one.expect("the shared document should exist");
        assert_eq!(one.value, won[0].to_string());
        assert!(
            one.revision > revision,
            "the revision {} must be greater than the earlier revision {revision}",
            one.revision
        );
        revision = one.revision;
    }
    assert_eq!(all_events(&handles[0], 100).await.len(), 8 * 5);
    assert_eq!(keys(&handles[0], Scan::prefix("own/")).await.len(), 8 * 4);
}

/// A reader that sees the documents of an append also sees its events, and the other way round.
pub async fn readers_never_see_events_without_their_documents<B: Backend>() {
    const LAST: u64 = 60;
    let backend = B::create().await;
    let (writer, reader) = (backend.open().await, backend.open().await);
    put(&writer, "contract-a", events([0])).await;
    let writes = tokio::spawn(async move {
        for number in 1..=LAST {
            let counted = DocumentChanges::new().put("count", number.to_string());
            append(&writer, to("contract-a", number).with_changes(counted)).await;
            change(
                &writer,
                DocumentChanges::new().put("other", number.to_string()),
            )
            .await;
        }
    });
    let head = async || {
        let last = Read::all(Query::all()).backward().limit(1);
        page(&reader, last).await.head.get() - 1
    };
    let count = async || -> u64 {
        let count = value(&reader, "count").await;
        count.map_or(0, |count| {
            count.parse().expect("the document should be a number")
        })
    };
    while count().await < LAST {
        tokio::task::yield_now().await;
        let (documents, events) = (count().await, head().await);
        assert!(
            events >= documents,
            "the document of append {documents} is visible, but only the events of {events} appends"
        );
        let (events, documents) = (head().await, count().await);
        assert!(
            documents >= events,
            "the events of {events} appends are visible, but only the document of append {documents}"
        );
    }
    join_all([writes]).await;
}
