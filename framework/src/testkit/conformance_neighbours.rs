//! Appends in flight at the same moment: each is judged, answered and dropped on its own.

use std::time::Duration;

use super::conformance::{Backend, all, append, event, events, everything, number, put, stream};
use crate::append::{Append, AppendError, Appended, ExpectedVersion, IdempotencyKey, Violation};
use crate::position::{Position, Version};
use crate::record::{NewEvent, Place, RecordedEvent};
use crate::store::EventStore as _;

/// One to three events for a stream of its own, and sometimes some for a stream that all share.
fn request(number: u64) -> Append {
    let shared: Vec<NewEvent> = events((0..number % 3).map(|_| number));
    let own = events((0..=number % 2).map(|_| number));
    let id = stream(&format!("contract-{number}"));
    let request = Append::stream(stream("contract-shared"), ExpectedVersion::Any, shared)
        .and_stream(id, ExpectedVersion::NoStream, own);
    match number % 4 {
        0 => request.once(IdempotencyKey::new(number.to_string(), b"")),
        _ => request,
    }
}

/// The events that `answer` says were stored for `request`.
fn told(request: Append, answer: &Appended) -> Vec<RecordedEvent> {
    let mut position = Position::new(answer.position.get() - answer.count);
    let mut told = Vec::new();
    let written = request
        .streams
        .into_iter()
        .filter(|part| !part.events.is_empty());
    for (part, (id, last)) in written.zip(&answer.versions) {
        assert_eq!(part.stream, *id, "the answer names another stream");
        let mut version = Version::new(last.get() - part.events.len() as u64);
        for event in part.events {
            (position, version) = (position.plus(1), version.plus(1));
            let place = Place {
                position,
                version,
                recorded_at: answer.recorded_at,
            };
            told.push(RecordedEvent::new(event, id.clone(), place));
        }
    }
    assert_eq!(told.len() as u64, answer.count);
    told
}

/// Each answer tells of its own append, and of none that went out with it.
pub async fn concurrent_appends_get_their_own_results<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    let tasks = (0..96_u64).map(|number| {
        let store = handles[number as usize % 2].clone();
        tokio::spawn(async move {
            let request = request(number);
            let answer = append(&store, request.clone()).await;
            assert!(!answer.repeated);
            told(request, &answer)
        })
    });
    let mut told: Vec<_> = all(tasks.collect::<Vec<_>>())
        .await
        .into_iter()
        .flatten()
        .collect();
    told.sort_unstable_by_key(|event| event.position);
    let stored = everything(&handles[0], 50).await;
    assert!(
        told == stored,
        "the answers tell something else than what is stored"
    );
}

/// Two that check what the other writes do not both win.
pub async fn mutually_checking_appends_have_one_winner<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    for round in 0..24_usize {
        let ids = [
            stream(&format!("contract-a{round}")),
            stream(&format!("contract-b{round}")),
        ];
        let tasks = [0, 1].map(|own| {
            // On one handle in every third round: then both may go out in one transaction.
            let store = handles[if round % 3 == 0 { 0 } else { own }].clone();
            let (written, checked) = (ids[own].clone(), ids[1 - own].clone());
            tokio::spawn(async move {
                let request =
                    Append::stream(checked.clone(), ExpectedVersion::NoStream, Vec::new())
                        .and_stream(written, ExpectedVersion::Any, events([own as u64]));
                match store.append(request).await {
                    Ok(_) => true,
                    Err(AppendError::Conflict(conflict)) => {
                        let lost = Violation::Version {
                            stream: checked,
                            expected: ExpectedVersion::NoStream,
                            actual: Version::new(1),
                        };
                        assert_eq!(conflict.violations, [lost]);
                        false
                    }
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let won = all(tasks).await;
        assert_eq!(
            won.iter().filter(|won| **won).count(),
            1,
            "in round {round}"
        );
    }
}

/// A dropped append can be asked again: it has happened as a whole or not at all, and no neighbour with it.
pub async fn dropped_append_can_be_retried<B: Backend>() {
    const APPENDS: u64 = 60;
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    put(&handles[0], "contract-shared", vec![event(APPENDS)]).await;
    let request = |number: u64| {
        let own = stream(&format!("contract-{number}"));
        Append::stream(own, ExpectedVersion::NoStream, events([number]))
            .and_stream(
                stream("contract-shared"),
                ExpectedVersion::Any,
                events([number, number]),
            )
            .once(IdempotencyKey::new(number.to_string(), b""))
    };
    let tasks = (0..APPENDS).map(|number| {
        let store = handles[number as usize % 2].clone();
        tokio::spawn(async move {
            let asked = store.append(request(number));
            if number % 3 == 0 {
                asked
                    .await
                    .expect("a neighbour of appends that were dropped");
            } else {
                // Polled once, then dropped.
                drop(tokio::time::timeout(Duration::ZERO, asked).await);
            }
        })
    });
    all(tasks.collect::<Vec<_>>()).await;
    for number in 0..APPENDS {
        let answer = append(&handles[0], request(number)).await;
        assert!(
            number % 3 != 0 || answer.repeated,
            "append {number} was forgotten"
        );
    }
    let stored = everything(&handles[1], 50).await;
    let mut seen: Vec<u64> = Vec::new();
    for whole in stored[1..].chunks(3) {
        let first = number(&whole[0]);
        assert_eq!(whole.len(), 3, "half of append {first}");
        assert!(
            whole.iter().all(|event| number(event) == first),
            "half of append {first}"
        );
        seen.push(first);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..APPENDS).collect::<Vec<_>>());
}
