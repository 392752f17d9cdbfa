//! Inline projections, and connections that break around the commit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/server.rs"]
#[allow(dead_code, reason = "every store here is behind a proxy")]
mod server;
#[path = "support/tally.rs"]
mod tally;

use factum::{AppendError, EventStore as _, StoreError};
use proxy::{Cut, Proxy};
use tally::{Sums, added, same};

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_and_one_that_is_lost_did_nothing() {
    for marker in ["COMMIT", "tally.added"] {
        let Some((server, options)) = server::behind() else {
            return;
        };
        let (proxy, way) = Proxy::before(server, marker).await;
        let store = options(way).inline(Sums::<1>).open().await.unwrap();
        store.append(added(1, &[0])).await.unwrap();
        let mut stored = 1;
        for round in 0..3 {
            for cut in [Cut::Answer, Cut::Request] {
                proxy.cut(cut);
                let answer = store.append(added(1, &[1, 2])).await;
                assert!(proxy.has_cut());
                match (marker, cut, answer) {
                    ("COMMIT", Cut::Answer, Ok(appended)) => {
                        stored += 2;
                        assert_eq!(appended.position.get() as usize, stored);
                        assert_eq!((appended.count, appended.repeated), (2, false));
                    }
                    ("COMMIT", Cut::Answer, answer) => panic!("round {round}: {answer:?}"),
                    (_, _, Err(AppendError::Store(StoreError::Unavailable(_)))) => {}
                    (_, _, answer) => panic!("{marker}, round {round}: {answer:?}"),
                }
                assert_eq!(same(&store).await, stored);
                store.append(added(2, &[3])).await.unwrap();
                stored += 1;
                assert_eq!(same(&store).await, stored);
            }
        }
    }
}
