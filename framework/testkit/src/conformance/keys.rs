//! Cases about idempotency keys.

use super::harness::{
    Backend, all_events, append, conflict, events, join_all, numbers, put, stream,
};
use factum_core::append::{Append, AppendError, Appended, ExpectedVersion, IdempotencyKey};
use factum_core::position::{Position, Version};
use factum_core::store::EventStore;

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text, b"content")
}

/// Returns the expected result of an append that repeats the append with the result `first`.
fn repeated(first: &Appended) -> Appended {
    Appended {
        repeated: true,
        ..first.clone()
    }
}

async fn find_key(store: &impl EventStore, key: &IdempotencyKey) -> Option<Appended> {
    let found = store.find(key).await;
    found.expect("the key lookup should succeed")
}

/// A repeated append and a key lookup return the first result, on every handle.
pub async fn idempotency_key_returns_first_result<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    put(&store, "contract-b", events(1..=1)).await;
    let keys = [
        "req-7",
        "ключ \u{1F511} 'quoted' \"twice\" \u{1} \\",
        &"k".repeat(256),
    ];
    for (index, text) in keys.into_iter().enumerate() {
        let request = || {
            let first = stream(&format!("contract-a{index}"));
            Append::stream(first, ExpectedVersion::NoStream, events(2..=3))
                .and_stream(
                    stream("contract-b"),
                    ExpectedVersion::Exact(Version::new(1 + index as u64)),
                    events(4..=4),
                )
                .idempotency_key(key(text))
        };
        assert_eq!(find_key(&store, &key(text)).await, None);
        let first = append(&store, request()).await;
        assert!(!first.repeated, "a new append is reported as repeated");
        put(&store, "contract-c", events(5..=5)).await;
        // The expected versions do not match any more, but the key has a result.
        assert_eq!(append(&store, request()).await, repeated(&first));
        assert_eq!(find_key(&store, &key(text)).await, Some(repeated(&first)));
        let other = backend.open().await;
        assert_eq!(append(&other, request()).await, repeated(&first));
        assert_eq!(find_key(&other, &key(text)).await, Some(repeated(&first)));
    }
    assert_eq!(all_events(&store, 100).await.len(), 1 + 3 * 4);
}

/// An append or lookup with a known key and other content fails with `KeyReused`.
pub async fn idempotency_key_rejects_other_content<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let request = |content: &[u8]| {
        Append::stream(stream("contract-a"), ExpectedVersion::Any, events(1..=1))
            .idempotency_key(IdempotencyKey::new("req-7", content))
    };
    append(&store, request(b"one")).await;
    // The key is checked before the expected version.
    let violated = Append::stream(
        stream("contract-a"),
        ExpectedVersion::NoStream,
        events(1..=1),
    )
    .idempotency_key(IdempotencyKey::new("req-7", b"two"));
    let rejected = store.append(violated).await;
    assert!(
        matches!(rejected, Err(AppendError::KeyReused { .. })),
        "expected KeyReused for a key with other content, got {rejected:?}"
    );
    for store in [store.clone(), backend.open().await] {
        let rejected = store.append(request(b"two")).await;
        assert!(
            matches!(&rejected, Err(AppendError::KeyReused { key }) if key == "req-7"),
            "expected KeyReused for the key \"req-7\", got {rejected:?}"
        );
        let rejected = store.find(&IdempotencyKey::new("req-7", b"two")).await;
        assert!(
            matches!(&rejected, Err(AppendError::KeyReused { key }) if key == "req-7"),
            "expected KeyReused for the key \"req-7\", got {rejected:?}"
        );
    }
    assert_eq!(numbers(&all_events(&store, 100).await), [1]);
}

/// An append or lookup with a known key and content in another schema version returns the first result.
pub async fn idempotency_key_accepts_other_schema_version<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let versioned = |version, content| IdempotencyKey::versioned("req-7", "Add", version, content);
    let request = |version, content| {
        Append::stream(stream("contract-a"), ExpectedVersion::Any, events(1..=1))
            .idempotency_key(versioned(version, content))
    };
    let first = append(&store, request(1, b"one")).await;
    for store in [store.clone(), backend.open().await] {
        assert_eq!(append(&store, request(2, b"two")).await, repeated(&first));
        let found = find_key(&store, &versioned(2, b"two")).await;
        assert_eq!(found, Some(repeated(&first)));
        let rejected = store.append(request(1, b"two")).await;
        assert!(
            matches!(rejected, Err(AppendError::KeyReused { .. })),
            "expected KeyReused for other content of the same schema version, got {rejected:?}"
        );
    }
    assert_eq!(numbers(&all_events(&store, 100).await), [1]);
}

/// Concurrent appends with the same key store their events once and return the same result.
pub async fn concurrent_appends_with_one_key_store_once<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let tasks = (0..32).map(|number| {
        let store = handles[number % 2].clone();
        tokio::spawn(async move {
            let request = Append::stream(stream("contract-a"), ExpectedVersion::Any, events(1..=2));
            append(&store, request.idempotency_key(key("req-7"))).await
        })
    });
    let results = join_all(tasks.collect::<Vec<_>>()).await;
    assert_eq!(
        results.iter().filter(|result| !result.repeated).count(),
        1,
        "exactly one append must not be reported as repeated"
    );
    for result in &results {
        assert_eq!(repeated(result), repeated(&results[0]));
    }
    assert_eq!(numbers(&all_events(&handles[0], 100).await), [1, 2]);
}

/// If concurrent appends use one key with different contents, exactly one content is stored.
pub async fn concurrent_contents_for_one_key_store_exactly_one<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let request = |content: u64| {
        Append::stream(
            stream("contract-a"),
            ExpectedVersion::Any,
            events([content]),
        )
        .idempotency_key(IdempotencyKey::new("req-7", &content.to_le_bytes()))
    };
    let tasks = (0..32_u64).map(|number| {
        let store = handles[number as usize % 2].clone();
        // Four appends have the same content.
        let content = number / 4;
        tokio::spawn(async move {
            match store.append(request(content)).await {
                Ok(_) => Some(content),
                Err(AppendError::KeyReused { key }) if key == "req-7" => None,
                Err(error) => panic!("the append must succeed or fail with KeyReused, got {error}"),
            }
        })
    });
    let accepted = join_all(tasks.collect::<Vec<_>>()).await;
    let stored = numbers(&all_events(&handles[0], 100).await);
    assert_eq!(stored.len(), 1, "exactly one content must be stored");
    for (accepted, content) in accepted.into_iter().zip((0..32).map(|number| number / 4)) {
        assert_eq!(accepted, (content == stored[0]).then_some(content));
    }
}

/// An append that fails with a conflict does not use up its key.
pub async fn conflicting_append_leaves_its_key_unused<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let request = |expected| {
        Append::stream(stream("contract-a"), expected, events(1..=1)).idempotency_key(key("req-7"))
    };
    conflict(&store, request(ExpectedVersion::StreamExists)).await;
    assert_eq!(find_key(&store, &key("req-7")).await, None);
    let appended = append(&store, request(ExpectedVersion::NoStream)).await;
    assert!(!appended.repeated, "a new append is reported as repeated");
    assert_eq!(appended.position, Position::new(1));
}

/// A key also records the result of an append without events.
pub async fn idempotency_key_covers_append_without_events<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    put(&store, "contract-a", events(1..=1)).await;
    let first = append(&store, Append::default().idempotency_key(key("req-7"))).await;
    assert_eq!((first.position, first.count), (Position::new(1), 0));
    put(&store, "contract-a", events(2..=2)).await;
    for store in [store.clone(), backend.open().await] {
        assert_eq!(
            append(&store, Append::default().idempotency_key(key("req-7"))).await,
            repeated(&first)
        );
    }
}
