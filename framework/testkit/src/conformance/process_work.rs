//! Cases about failed deliveries and deadlines of process managers.

use super::engine::retrying_engine;
use super::faults::with_seeds;
use super::harness::Backend;
use super::process_lamps::{
    BY_DEADLINE, LampEvent, Watch, idle, processes, put_out, put_out_of, report,
};
use super::shop::DAY;
use crate::{Faults, Faulty, VirtualClock};
use factum_engine::clock::Clock as _;
use factum_runtime::process::{DeliveryHandle, DeliveryWork, FailedDelivery};
use factum_runtime::{Runtime, StartFrom};

/// A failed delivery blocks the later deliveries of its own process instance only.
///
/// It is listed on every handle and survives restarts. A discarded delivery is not executed; after a retry, the blocked
/// deliveries are executed in order.
pub async fn failed_delivery_blocks_only_its_own_instance<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let (engine, clock) = (retrying_engine(store.clone()), VirtualClock::new());
    let start = async || {
        processes(store.clone(), &clock, 2)
            .process::<Watch>(StartFrom::Beginning)
            .start()
            .await
            .expect("the runtime should start")
    };
    let until = clock.now() + DAY;
    let first = start().await;
    for lamp in [1, 2] {
        if lamp == 1 {
            report(&engine, lamp, LampEvent::Jammed).await;
        }
        report(&engine, lamp, LampEvent::Lit { lamp, until }).await;
        for _ in 0..2 {
            let until = Some(until);
            report(&engine, lamp, LampEvent::Touched { lamp, until }).await;
        }
    }
    idle(&first).await;
    assert_eq!(put_out(&store).await, [(2, 1), (2, 2)]);
    let listed = failed_deliveries(&first).await;
    let [failed] = &listed[..] else {
        panic!("expected one failed delivery, got {listed:?}")
    };
    assert_eq!((&*failed.instance, failed.attempts), ("1", 2));
    assert!(
        failed.error.contains("the switch is jammed"),
        "expected the error of the command, got {failed:?}"
    );
    let DeliveryWork::Command { name, body } = &failed.work else {
        panic!("expected a failed command, got {failed:?}")
    };
    assert_eq!((&**name, &body["touches"]), ("PutOut", &1.into()));
    first.stop().await;

    let other = processes(backend.open().await, &clock, 2);
    let second = other
        .process::<Watch>(StartFrom::Beginning)
        .start()
        .await
        .expect("the runtime should start");
    idle(&second).await;
    assert_eq!(failed_deliveries(&second).await, listed);
    let discarded = watch(&second);
    let discarded = discarded.discard_delivery(failed, "nobody needs it");
    discarded.await.expect("the failed delivery should exist");
    idle(&second).await;
    let listed = failed_deliveries(&second).await;
    assert_eq!(listed[0].discarded.as_deref(), Some("nobody needs it"));
    assert!(
        listed[1].is_waiting(),
        "the next delivery must fail and wait, but is {:?}",
        listed[1]
    );
    second.stop().await;

    let third = start().await;
    report(&engine, 1, LampEvent::Repaired).await;
    let until = Some(until);
    report(&engine, 1, LampEvent::Touched { lamp: 1, until }).await;
    idle(&third).await;
    assert_eq!(
        put_out_of(&store, 1).await,
        [0; 0],
        "a failed delivery must wait for a retry"
    );
    let retried = watch(&third).retry_deliveries().await;
    retried.expect("the retry should be accepted");
    idle(&third).await;
    assert_eq!(put_out_of(&store, 1).await, [2, 3]);
    let listed = failed_deliveries(&third).await;
    assert!(
        !listed.iter().any(FailedDelivery::is_waiting),
        "no delivery must wait after the retry, but the list is {listed:?}"
    );
    third.stop().await;
}

fn watch(running: &Runtime) -> DeliveryHandle {
    let process = running.process::<Watch>();
    let process = process.expect("the process manager should run");
    process.deliveries().clone()
}

async fn failed_deliveries(running: &Runtime) -> Vec<FailedDelivery> {
    let listed = watch(running).failed_deliveries().await;
    listed.expect("the failed deliveries should be readable")
}

/// A moved deadline fires once at its new time, and a cancelled deadline never fires.
///
/// Two nodes run under faults; the second one starts after the deadlines were moved.
pub async fn process_deadline_can_be_moved_and_cancelled_under_faults<B: Backend>() {
    const LAMPS: u64 = 12;
    with_seeds(async |seed| {
        let backend = B::create().await;
        let clock = VirtualClock::new();
        let start = async |run| {
            let store = Faulty::new(backend.open().await, seed + run, Faults::default());
            processes(store, &clock, 1_000)
                .process::<Watch>(StartFrom::Beginning)
                .start()
                .await
                .expect("the runtime should start")
        };
        let store = backend.open().await;
        let (engine, began) = (retrying_engine(store.clone()), clock.now());
        let first = start(0).await;
        for lamp in 0..LAMPS {
            let until = began + DAY;
            report(&engine, lamp, LampEvent::Lit { lamp, until }).await;
        }
        idle(&first).await;
        for lamp in 0..LAMPS {
            let until = match lamp % 4 {
                0 => continue,
                1 => None,
                2 => Some(began + DAY * 3),
                // Before the deadlines that were not moved.
                _ => Some(began + DAY / 2),
            };
            report(&engine, lamp, LampEvent::Touched { lamp, until }).await;
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
            let due: Vec<_> = due.map(|lamp| (lamp, BY_DEADLINE)).collect();
            assert_eq!(new, due, "lamps put out after {half} half days");
        }
        first.stop().await;
        second.stop().await;
    })
    .await;
}
