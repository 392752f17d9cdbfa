//! Process managers: what cannot be done waits for somebody, and what is moved passes when it was moved to.

use super::conformance::Backend;
use super::conformance_engine::patient;
use super::conformance_faults::with_seeds;
use super::conformance_process_lamps::{
    BY_ITSELF, LampEvent, Watch, idle, processes, put_out, put_out_of, tell,
};
use super::conformance_shop::DAY;
use super::{Faults, Faulty, VirtualClock};
use crate::clock::Clock as _;
use crate::process_managers::{FailedDelivery, FailedWork};

/// What cannot be done is given up after its attempts and waits, over restarts and on every handle, with all else that its
/// instance wants done behind it in order; other instances go on. What is discarded is not done; what is tried again is.
pub async fn failed_delivery_blocks_only_its_own_instance<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let (engine, clock) = (patient(store.clone()), VirtualClock::new());
    let start = || processes(store.clone(), &clock, 2).with::<Watch>().start();
    let until = clock.now() + DAY;
    let first = start();
    for lamp in [1, 2] {
        if lamp == 1 {
            tell(&engine, lamp, LampEvent::Jammed).await;
        }
        tell(&engine, lamp, LampEvent::Lit { lamp, until }).await;
        for _ in 0..2 {
            let until = Some(until);
            tell(&engine, lamp, LampEvent::Touched { lamp, until }).await;
        }
    }
    idle(&first).await;
    assert_eq!(put_out(&store).await, [(2, 1), (2, 2)]);
    let given_up = first
        .failed_deliveries("watch")
        .await
        .expect("they are listed");
    let [letter] = &given_up[..] else {
        panic!("{given_up:?}")
    };
    assert_eq!((&*letter.instance, letter.attempts), ("1", 2));
    assert!(letter.error.contains("the switch is jammed"), "{letter:?}");
    let FailedWork::Command { name, body } = &letter.work else {
        panic!("{letter:?}")
    };
    assert_eq!((&**name, &body["touches"]), ("PutOut", &1.into()));
    first.stop().await;

    let other = processes(place.open().await, &clock, 2);
    let second = other.with::<Watch>().start();
    idle(&second).await;
    let still = second
        .failed_deliveries("watch")
        .await
        .expect("they are listed");
    assert_eq!(still, given_up);
    let discarded = second.discard_delivery("watch", letter, "nobody needs it");
    discarded.await.expect("it waits");
    idle(&second).await;
    let listed = second
        .failed_deliveries("watch")
        .await
        .expect("they are listed");
    assert_eq!(listed[0].discarded.as_deref(), Some("nobody needs it"));
    assert!(listed[1].is_waiting(), "what came behind fails, too");
    second.stop().await;

    let third = start();
    tell(&engine, 1, LampEvent::Mended).await;
    let until = Some(until);
    tell(&engine, 1, LampEvent::Touched { lamp: 1, until }).await;
    idle(&third).await;
    assert_eq!(put_out_of(&store, 1).await, [0; 0], "it waits for somebody");
    third.retry("watch").await.expect("it can be tried again");
    idle(&third).await;
    assert_eq!(put_out_of(&store, 1).await, [2, 3]);
    let listed = third
        .failed_deliveries("watch")
        .await
        .expect("they are listed");
    assert!(!listed.iter().any(FailedDelivery::is_waiting), "{listed:?}");
    third.stop().await;
}

/// A deadline that was moved passes once, at its new time; one that was cancelled never; over two instances of the
/// program, one of which begins in between, and a store that fails.
pub async fn process_deadline_can_be_moved_and_cancelled_under_faults<B: Backend>() {
    const LAMPS: u64 = 12;
    with_seeds(async |seed| {
        let place = B::create().await;
        let clock = VirtualClock::new();
        let start = async |run| {
            let store = Faulty::new(place.open().await, seed + run, Faults::default());
            processes(store, &clock, 1_000).with::<Watch>().start()
        };
        let store = place.open().await;
        let (engine, began) = (patient(store.clone()), clock.now());
        let first = start(0).await;
        for lamp in 0..LAMPS {
            let until = began + DAY;
            tell(&engine, lamp, LampEvent::Lit { lamp, until }).await;
        }
        idle(&first).await;
        for lamp in 0..LAMPS {
            let until = match lamp % 4 {
                0 => continue,
                1 => None,
                2 => Some(began + DAY * 3),
                // Sooner than those that were not moved.
                _ => Some(began + DAY / 2),
            };
            tell(&engine, lamp, LampEvent::Touched { lamp, until }).await;
        }
        idle(&first).await;
        let second = start(1).await;
        let mut seen = put_out(&store).await.len();
        for (half, expected) in [(1, vec![3]), (2, vec![0]), (4, vec![]), (7, vec![2])] {
            clock.advance_to(began + DAY / 2 * half);
            idle(&first).await;
            idle(&second).await;
            let mut new = put_out(&store).await.split_off(seen);
            seen += new.len();
            new.sort_unstable();
            let due = (0..LAMPS).filter(|lamp| expected.contains(&(lamp % 4)));
            let due: Vec<_> = due.map(|lamp| (lamp, BY_ITSELF)).collect();
            assert_eq!(new, due, "after {half} half days");
        }
        first.stop().await;
        second.stop().await;
    })
    .await;
}
