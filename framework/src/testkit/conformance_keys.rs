//! Idempotency keys: the first answer again, for the same content.

use super::conformance::{
    Backend, all, append, conflict, events, everything, numbers, put, stream,
};
use crate::append::{Append, AppendError, Appended, ExpectedVersion, IdempotencyKey};
use crate::position::{Position, Version};
use crate::store::EventStore;

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text, b"content")
}

/// What the first answer looks like when it is given again.
fn again(first: &Appended) -> Appended {
    Appended {
        repeated: true,
        ..first.clone()
    }
}

async fn found(store: &impl EventStore, key: &IdempotencyKey) -> Option<Appended> {
    store.find(key).await.expect("a key can be looked up")
}

/// A key gives the first answer again.
pub async fn idempotency_key_returns_first_result<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    put(&store, "contract-b", events(1..=1)).await;
    let keys = [
        "req-7",
        "ключ \u{1F511} 'quoted' \"twice\" \u{0} \\",
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
                .once(key(text))
        };
        assert_eq!(found(&store, &key(text)).await, None);
        let first = append(&store, request()).await;
        assert!(!first.repeated);
        put(&store, "contract-c", events(5..=5)).await;
        // The expectations would fail now; the first answer stands.
        assert_eq!(append(&store, request()).await, again(&first));
        assert_eq!(found(&store, &key(text)).await, Some(again(&first)));
        let other = place.open().await;
        assert_eq!(append(&other, request()).await, again(&first));
        assert_eq!(found(&other, &key(text)).await, Some(again(&first)));
    }
    assert_eq!(everything(&store, 100).await.len(), 1 + 3 * 4);
}

/// A key used for other content is an error.
pub async fn idempotency_key_rejects_other_content<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let request = |content: &[u8]| {
        Append::stream(stream("contract-a"), ExpectedVersion::Any, events(1..=1))
            .once(IdempotencyKey::new("req-7", content))
    };
    append(&store, request(b"one")).await;
    // Said before an expectation is judged.
    let violated = Append::stream(
        stream("contract-a"),
        ExpectedVersion::NoStream,
        events(1..=1),
    )
    .once(IdempotencyKey::new("req-7", b"two"));
    let rejected = store.append(violated).await;
    assert!(
        matches!(rejected, Err(AppendError::KeyReused { .. })),
        "{rejected:?}"
    );
    for store in [store.clone(), place.open().await] {
        let rejected = store.append(request(b"two")).await;
        assert!(
            matches!(&rejected, Err(AppendError::KeyReused { key }) if key == "req-7"),
            "{rejected:?}"
        );
        let rejected = store.find(&IdempotencyKey::new("req-7", b"two")).await;
        assert!(
            matches!(&rejected, Err(AppendError::KeyReused { key }) if key == "req-7"),
            "{rejected:?}"
        );
    }
    assert_eq!(numbers(&everything(&store, 100).await), [1]);
}

/// Many appends with one key store once.
pub async fn concurrent_appends_with_one_key_store_once<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    let tasks = (0..32).map(|number| {
        let store = handles[number % 2].clone();
        tokio::spawn(async move {
            let request = Append::stream(stream("contract-a"), ExpectedVersion::Any, events(1..=2));
            append(&store, request.once(key("req-7"))).await
        })
    });
    let answers = all(tasks.collect::<Vec<_>>()).await;
    assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
    for answer in &answers {
        assert_eq!(again(answer), again(&answers[0]));
    }
    assert_eq!(numbers(&everything(&handles[0], 100).await), [1, 2]);
}

/// Of many contents for one key one is taken, and stands for the key from then on.
pub async fn concurrent_contents_for_one_key_store_exactly_one<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    let request = |content: u64| {
        Append::stream(
            stream("contract-a"),
            ExpectedVersion::Any,
            events([content]),
        )
        .once(IdempotencyKey::new("req-7", &content.to_le_bytes()))
    };
    let tasks = (0..32_u64).map(|number| {
        let store = handles[number as usize % 2].clone();
        // Each content is asked for four times.
        let content = number / 4;
        tokio::spawn(async move {
            match store.append(request(content)).await {
                Ok(_) => Some(content),
                Err(AppendError::KeyReused { key }) if key == "req-7" => None,
                Err(error) => panic!("{error}"),
            }
        })
    });
    let taken = all(tasks.collect::<Vec<_>>()).await;
    let stored = numbers(&everything(&handles[0], 100).await);
    assert_eq!(stored.len(), 1);
    for (taken, content) in taken.into_iter().zip((0..32).map(|number| number / 4)) {
        assert_eq!(taken, (content == stored[0]).then_some(content));
    }
}

/// A rejected append leaves its key free.
pub async fn conflicting_append_leaves_its_key_unused<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let request =
        |expected| Append::stream(stream("contract-a"), expected, events(1..=1)).once(key("req-7"));
    conflict(&store, request(ExpectedVersion::StreamExists)).await;
    assert_eq!(found(&store, &key("req-7")).await, None);
    let taken = append(&store, request(ExpectedVersion::NoStream)).await;
    assert!(!taken.repeated);
    assert_eq!(taken.position, Position::new(1));
}

/// A key holds for an append without events.
pub async fn idempotency_key_covers_append_without_events<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    put(&store, "contract-a", events(1..=1)).await;
    let first = append(&store, Append::default().once(key("req-7"))).await;
    assert_eq!((first.position, first.count), (Position::new(1), 0));
    put(&store, "contract-a", events(2..=2)).await;
    for store in [store.clone(), place.open().await] {
        assert_eq!(
            append(&store, Append::default().once(key("req-7"))).await,
            again(&first)
        );
    }
}
