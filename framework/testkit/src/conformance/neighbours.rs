//! Cases about concurrent appends: each is checked, completed and dropped independently of the others.

use std::time::Duration;

use super::harness::{Backend, all_events, append, event, events, join_all, number, put, stream};
use factum_core::append::{
    Append, AppendError, Appended, ExpectedVersion, IdempotencyKey, Violation,
};
use factum_core::position::Version;
use factum_core::store::EventStore as _;
use factum_engine::record::{NewEvent, RecordedEvent};

/// Creates an append of one or two events to its own stream and up to two events to a shared stream.
fn request(number: u64) -> Append {
    let shared: Vec<NewEvent> = events((0..number % 3).map(|_| number));
    let own = events((0..=number % 2).map(|_| number));
    let id = stream(&format!("contract-{number}"));
    let request = Append::stream(stream("contract-shared"), ExpectedVersion::Any, shared)
        .and_stream(id, ExpectedVersion::NoStream, own);
    match number % 4 {
        0 => request.idempotency_key(IdempotencyKey::new(number.to_string(), b"")),
        _ => request,
    }
}

/// Returns the events that must be stored for `request` according to its result.
fn reported_events(request: &Append, result: &Appended) -> Vec<RecordedEvent> {
    let written = request.written_streams().into_iter();
    let written = written.map(|index| &request.streams[index].stream);
    assert!(
        written.eq(result.versions.iter().map(|(stream, _)| stream)),
        "the result must name the streams of the append"
    );
    let assigned = request.assigned(result);
    let reported = request.events.iter().zip(assigned);
    let reported = reported.map(|(event, assigned)| {
        let stream = request.stream_of(event).clone();
        RecordedEvent::new(event.event.clone(), stream, assigned)
    });
    let reported: Vec<_> = reported.collect();
    assert_eq!(reported.len() as u64, result.count);
    reported
}

/// Each of several concurrent appends returns the positions and versions of its own events.
pub async fn concurrent_appends_get_their_own_results<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let tasks = (0..96_u64).map(|number| {
        let store = handles[number as usize % 2].clone();
        tokio::spawn(async move {
            let request = request(number);
            let result = append(&store, request.clone()).await;
            assert!(!result.repeated, "a new append is reported as repeated");
            reported_events(&request, &result)
        })
    });
    let mut reported: Vec<_> = join_all(tasks.collect::<Vec<_>>())
        .await
        .into_iter()
        .flatten()
        .collect();
    reported.sort_unstable_by_key(|event| event.position);
    let stored = all_events(&handles[0], 50).await;
    assert!(
        reported == stored,
        "the results of the appends do not match the stored events"
    );
}

/// If each of two appends requires that the stream of the other one is empty, exactly one succeeds.
pub async fn mutually_checking_appends_have_one_winner<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    for round in 0..24_usize {
        let ids = [
            stream(&format!("contract-a{round}")),
            stream(&format!("contract-b{round}")),
        ];
        let tasks = [0, 1].map(|own| {
            // In every third round both use one handle, which may send them in one transaction.
            let store = handles[if round % 3 == 0 { 0 } else { own }].clone();
            let (written, checked) = (ids[own].clone(), ids[1 - own].clone());
            tokio::spawn(async move {
                let request =
                    Append::stream(checked.clone(), ExpectedVersion::NoStream, Vec::new())
                        .and_stream(written, ExpectedVersion::Any, events([own as u64]));
                match store.append(request).await {
                    Ok(_) => true,
                    Err(AppendError::Conflict(conflict)) => {
                        let violation = Violation::Version {
                            stream: checked,
                            expected: ExpectedVersion::NoStream,
                            actual: Version::new(1),
                        };
                        assert_eq!(conflict.violations, [violation]);
                        false
                    }
                    Err(error) => panic!("the append must succeed or conflict, got {error}"),
                }
            })
        });
        let won = join_all(tasks).await;
        assert_eq!(
            won.iter().filter(|won| **won).count(),
            1,
            "exactly one append must succeed in round {round}"
        );
    }
}

/// An append whose future was dropped is stored as a whole or not at all, and can be retried.
///
/// Other appends succeed meanwhile.
pub async fn dropped_append_can_be_retried<B: Backend>() {
    const APPENDS: u64 = 60;
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    put(&handles[0], "contract-shared", vec![event(APPENDS)]).await;
    let request = |number: u64| {
        let own = stream(&format!("contract-{number}"));
        Append::stream(own, ExpectedVersion::NoStream, events([number]))
            .and_stream(
                stream("contract-shared"),
                ExpectedVersion::Any,
                events([number, number]),
            )
            .idempotency_key(IdempotencyKey::new(number.to_string(), b""))
    };
    let tasks = (0..APPENDS).map(|number| {
        let store = handles[number as usize % 2].clone();
        tokio::spawn(async move {
            let append = store.append(request(number));
            if number % 3 == 0 {
                let appended = append.await;
                appended.expect("an append should succeed while others are dropped");
            } else {
                // The future is polled once and dropped.
                drop(tokio::time::timeout(Duration::ZERO, append).await);
            }
        })
    });
    join_all(tasks.collect::<Vec<_>>()).await;
    for number in 0..APPENDS {
        let result = append(&handles[0], request(number)).await;
        assert!(
            number % 3 != 0 || result.repeated,
            "append {number} was acknowledged but stored again when repeated"
        );
    }
    let stored = all_events(&handles[1], 50).await;
    let mut seen: Vec<u64> = Vec::new();
    for whole in stored[1..].chunks(3) {
        let first = number(&whole[0]);
        assert_eq!(
            whole.len(),
            3,
            "the number of stored events of append {first}"
        );
        assert!(
            whole.iter().all(|event| number(event) == first),
            "only a part of append {first} was stored"
        );
        seen.push(first);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..APPENDS).collect::<Vec<_>>());
}
