//! Cases about documents: atomic changes, revisions and scans.

use super::harness::{Backend, join_all};
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, InvalidDocumentChanges, MAX_KEY,
    MAX_SCAN_BYTES, Revision, Scan,
};

pub async fn change(store: &impl DocumentStore, changes: DocumentChanges) -> Revision {
    match store.change_documents(changes).await {
        Ok(revision) => revision,
        Err(error) => panic!("the document changes must succeed, but failed: {error:?}"),
    }
}

/// Asserts that `changes` conflict; returns the key, the required revision and the actual revision.
async fn document_conflict(
    store: &impl DocumentStore,
    changes: DocumentChanges,
) -> (String, Revision, Revision) {
    match store.change_documents(changes).await {
        Err(DocumentError::RevisionConflict {
            key,
            expected,
            actual,
        }) => (key, expected, actual),
        other => panic!("expected a conflict on a document revision, got {other:?}"),
    }
}

pub async fn find(store: &impl DocumentStore, key: &str) -> Option<Document> {
    let found = store.find_documents(&[key.to_owned()]).await;
    let mut found = found.expect("the document lookup should succeed");
    let count = found.len();
    assert!(count <= 1, "the key {key:?} has {count} documents");
    found.pop()
}

/// Returns the keys that a scan finds, without those of a store that encrypts personal data.
pub async fn keys(store: &impl DocumentStore, scan: Scan) -> Vec<String> {
    let found = store.scan_documents(scan).await;
    let found = found.expect("the document scan should succeed");
    let keys = found.into_iter().map(|document| document.key);
    keys.filter(|key| !key.starts_with("personal/")).collect()
}

fn document(key: &str, revision: Revision, value: &str) -> Document {
    Document {
        key: key.to_owned(),
        revision,
        value: value.to_owned(),
    }
}

/// No handle reports the liveness lock of an open store as released.
///
/// A clone that is dropped releases nothing.
pub async fn liveness_lock_is_held_by_open_store<B: Backend>() {
    let backend = B::create().await;
    let (first, second) = (backend.open().await, backend.open().await);
    drop(first.clone());
    let locks = [first.liveness_lock(), second.liveness_lock()];
    let locks: Vec<_> = locks.into_iter().flatten().collect();
    for store in [&first, &second, &backend.open().await] {
        let released = store.released_liveness_locks(&locks).await;
        let released = released.expect("the locks should be checked");
        assert!(released.is_empty(), "locks of open stores: {released:?}");
    }
}

/// A scan ends at a number of bytes, with at least one document, and continues after it.
pub async fn document_scan_ends_at_a_number_of_bytes<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let value = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let half = MAX_SCAN_BYTES / 2;
    for (key, bytes) in [
        ("large/1", half - 1),
        ("large/2", half),
        ("large/3", 2),
        ("large/4", MAX_SCAN_BYTES),
        ("large/5", 2),
    ] {
        let change = DocumentChanges::new().put(key, value(bytes));
        let changed = store.change_documents(change).await;
        changed.expect("the document should be stored");
    }
    let mut scan = Scan::prefix("large/");
    for expected in [
        &["large/1", "large/2", "large/3"][..],
        &["large/4"],
        &["large/5"],
    ] {
        let page = store.scan_documents(scan.clone()).await;
        let page = page.expect("the document scan should succeed");
        let keys: Vec<_> = page.iter().map(|document| &*document.key).collect();
        assert_eq!(keys, expected);
        let next = scan.next(&page);
        assert_eq!(
            next.is_none(),
            expected == ["large/5"],
            "the end of the scan"
        );
        scan = next.unwrap_or(scan);
    }
}

/// A document is found unchanged through every handle until it is deleted.
pub async fn documents_survive_reopen<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    assert_eq!(find(&store, "a").await, None);
    let odd = r#"{"text":"O'Neill \"x\" \\ \u0000 ? $1 {a} – 𝄞","n":[1.5e300,-0.0,18446744073709551615]}"#;
    let first = change(
        &store,
        DocumentChanges::new().put("a", odd).put("b/ü", "null"),
    )
    .await;
    drop(store);
    let store = backend.open().await;
    assert_eq!(find(&store, "a").await, Some(document("a", first, odd)));
    let second = change(&store, DocumentChanges::new().put("a", "2").delete("b/ü")).await;
    assert!(
        second > first,
        "the revision {second} must be greater than the earlier revision {first}"
    );
    let other = backend.open().await;
    assert_eq!(find(&other, "a").await, Some(document("a", second, "2")));
    assert_eq!(find(&other, "b/ü").await, None);
    let several = ["a", "b/ü", "c"].map(str::to_owned);
    let found = other.find_documents(&several).await;
    let found = found.expect("the document lookup should succeed");
    assert_eq!(found, [document("a", second, "2")]);
    let found = other.find_documents(&[]).await;
    assert_eq!(found.expect("a lookup without keys should succeed"), []);
}

/// A scan returns the keys with its prefix in byte order, after its start key and up to its limit.
pub async fn document_scan_follows_key_order<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let sorted = [
        "A",
        "a",
        "a b",
        "a%",
        "a/",
        "a/1",
        "a/10",
        "a/2",
        "a/B",
        "a/_",
        "a/b",
        "a/ä",
        "a/\u{d7ff}",
        "a/\u{e000}",
        "a/\u{10ffff}",
        "a/\u{10ffff}z",
        "a0",
        "b",
    ];
    let mixed = DocumentChanges::new().put(sorted[5], "0");
    let mixed = sorted.iter().rev().fold(mixed, |changes, key| match *key {
        "a/1" => changes,
        key => changes.put(key, "1"),
    });
    change(&store, mixed).await;
    assert_eq!(keys(&store, Scan::prefix("")).await, sorted);
    assert_eq!(keys(&store, Scan::prefix("a/")).await, sorted[4..16]);
    assert_eq!(keys(&store, Scan::prefix("a/1")).await, ["a/1", "a/10"]);
    assert_eq!(
        keys(&store, Scan::prefix("a/\u{10ffff}")).await,
        sorted[14..16]
    );
    assert_eq!(
        keys(&store, Scan::prefix("a/\u{d7ff}")).await,
        sorted[12..13]
    );
    assert_eq!(keys(&store, Scan::prefix("z")).await, [""; 0]);
    assert_eq!(
        keys(&store, Scan::prefix("a/").after("a/2").limit(2)).await,
        ["a/B", "a/_"]
    );
    assert_eq!(
        keys(&store, Scan::prefix("a/").after("A").limit(1)).await,
        ["a/"]
    );
    assert_eq!(
        keys(&store, Scan::prefix("a/").after("a/3")).await,
        sorted[8..16]
    );
    assert_eq!(keys(&store, Scan::prefix("a/").after("b")).await, [""; 0]);
}

/// If one required revision does not match, no change is made.
pub async fn document_changes_are_atomic<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let first = change(&store, DocumentChanges::new().put("a", "1").put("b", "1")).await;
    let absent = Revision::ABSENT;
    let all_three = || DocumentChanges::new().put("a", "2").delete("b");
    let rejected = document_conflict(&store, all_three().put_if("c", first, "2")).await;
    assert_eq!(rejected, ("c".to_owned(), first, absent));
    let rejected = document_conflict(
        &store,
        all_three().put_if("c", absent, "2").put_if("d", first, "2"),
    )
    .await;
    assert_eq!(rejected, ("d".to_owned(), first, absent));
    let changes = DocumentChanges::new()
        .put("c", "2")
        .put_if("a", absent, "2");
    assert_eq!(
        document_conflict(&store, changes).await,
        ("a".to_owned(), absent, first)
    );
    let changes = DocumentChanges::new().put("c", "2").delete_if("z", first);
    assert_eq!(
        document_conflict(&store, changes).await,
        ("z".to_owned(), first, absent)
    );
    let changes = DocumentChanges::new().put("c", "2").require("z", first);
    assert_eq!(
        document_conflict(&store, changes).await,
        ("z".to_owned(), first, absent)
    );
    assert_eq!(keys(&store, Scan::prefix("")).await, ["a", "b"]);
    assert_eq!(find(&store, "a").await, Some(document("a", first, "1")));
    let kept = DocumentChanges::new()
        .require("a", first)
        .delete_if("b", first)
        .put_if("c", absent, "2");
    let second = change(&store, kept).await;
    assert_eq!(find(&store, "a").await, Some(document("a", first, "1")));
    assert_eq!(find(&store, "c").await, Some(document("c", second, "2")));
    assert_eq!(find(&store, "b").await, None);
    change(&store, DocumentChanges::new().delete("b").delete("x")).await;
}

/// A document that was deleted and created again has a new revision.
pub async fn document_revision_is_never_reused<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let mut last = Revision::ABSENT;
    for round in 0..3 {
        let created = change(&backend.open().await, DocumentChanges::new().put("a", "1")).await;
        assert!(
            created > last,
            "round {round}: the revision {created} must be greater than {last}"
        );
        assert_eq!(
            document_conflict(&store, DocumentChanges::new().delete_if("a", last))
                .await
                .2,
            created
        );
        last = change(&store, DocumentChanges::new().delete_if("a", created)).await;
        assert_eq!(
            document_conflict(&store, DocumentChanges::new().put_if("a", created, "2"))
                .await
                .2,
            Revision::ABSENT
        );
    }
}

/// If concurrent changes require the same revision of a document, exactly one succeeds.
pub async fn conflicting_document_changes_have_one_winner<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let mut revision = Revision::ABSENT;
    for round in 0..10_u64 {
        let tasks = (0..8).map(|number: u64| {
            let store = handles[number as usize % 2].clone();
            let own = format!("won/{round}/{number}");
            let changes = DocumentChanges::new()
                .put_if("one", revision, number.to_string())
                .put(own, "true")
                .put(format!("also/{number}"), round.to_string());
            tokio::spawn(async move {
                match store.change_documents(changes).await {
                    Ok(revision) => Some((number, revision)),
                    Err(DocumentError::RevisionConflict { .. }) => None,
                    Err(error) => {
                        panic!("round {round}: the change must succeed or conflict, got {error:?}")
                    }
                }
            })
        });
        let won: Vec<_> = join_all(tasks.collect::<Vec<_>>())
            .await
            .into_iter()
            .flatten()
            .collect();
        let [(winner, now)] = won[..] else {
            panic!(
                "round {round}: exactly one change must succeed, but {} did",
                won.len()
            )
        };
        let one = find(&handles[1], "one").await;
        assert_eq!(one, Some(document("one", now, &winner.to_string())));
        let marks = keys(&handles[0], Scan::prefix(format!("won/{round}/"))).await;
        assert_eq!(marks, [format!("won/{round}/{winner}")]);
        revision = now;
    }
}

/// Changes beyond a limit are rejected and change nothing; changes at a limit succeed.
pub async fn invalid_document_changes_are_rejected<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let longest = "k".repeat(MAX_KEY);
    let first = change(&store, DocumentChanges::new().put(&longest, "1")).await;
    assert_eq!(
        find(&store, &longest).await,
        Some(document(&longest, first, "1"))
    );
    let rejected = [
        (DocumentChanges::new().put("", "1"), "1 to 1024 bytes"),
        (
            DocumentChanges::new().put("k".repeat(MAX_KEY + 1), "1"),
            "1 to 1024 bytes",
        ),
        (
            DocumentChanges::new().put("a\n", "1"),
            "without control characters",
        ),
        (DocumentChanges::new().put("a", "1\0"), "U+0000"),
        (
            DocumentChanges::new().put("a", "1").delete("a"),
            "changed twice",
        ),
        (
            DocumentChanges::new().require("a", Revision::ABSENT),
            "has no effect",
        ),
    ];
    for (changes, reason) in rejected {
        let result = store.change_documents(changes.put("b", "1")).await;
        let Err(DocumentError::Invalid(invalid)) = result else {
            panic!("expected an error that contains {reason:?}, got {result:?}")
        };
        assert!(
            invalid.to_string().contains(reason),
            "expected an error that contains {reason:?}, got {invalid}"
        );
    }
    let many = (0..=factum_core::document::MAX_CHANGES)
        .fold(DocumentChanges::new(), |changes, number| {
            changes.put(format!("many/{number}"), "1")
        });
    let result = store.change_documents(many.clone()).await;
    let too_many = matches!(
        result,
        Err(DocumentError::Invalid(
            InvalidDocumentChanges::TooMany { .. }
        ))
    );
    assert!(too_many, "expected TooMany, got {result:?}");
    assert_eq!(keys(&store, Scan::prefix("")).await, [longest]);
    let most = many.into_vec().into_iter().skip(1);
    let most = most.fold(DocumentChanges::new(), |changes, change| {
        changes.put(change.key, "2")
    });
    change(&store, most).await;
    assert_eq!(keys(&store, Scan::prefix("many/")).await.len(), 1_000);
}
