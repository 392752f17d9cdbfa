//! The latency of both APIs on the loopback interface.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/messages.rs"]
mod messages;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/raw_http2.rs"]
mod raw_http2;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::time::{Duration, Instant};

use prost::Message as _;

use messages::get;
use raw_http2::RawHttp2;
use server::Server;

const CALLS: usize = 31;

/// Other programs can slow down a whole round, so the test passes if one round is fast enough.
const ROUNDS: usize = 10;

/// The maximum difference between the medians of the two APIs.
const LIMIT: Duration = Duration::from_millis(1);

/// Returns the median duration of `call`.
async fn median(mut call: impl AsyncFnMut()) -> Duration {
    let mut durations = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let started = Instant::now();
        call().await;
        durations.push(started.elapsed());
    }
    durations.sort_unstable();
    durations[CALLS / 2]
}

/// Clients in C++, Go and Python measure the round trip with pings. The acknowledgement of a ping and the answer are
/// two small segments.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_is_as_fast_as_rest() {
    let (_dir, server) = Server::fresh();
    let id = server.create("limits", "limit: 250\n").await;
    let path = format!("/v1/specs/{id}");
    let message = get(&id).encode_to_vec();
    let mut client = RawHttp2::connect(server.grpc_address(), &[]).await;
    let mut medians = Vec::new();
    for _ in 0..ROUNDS {
        let rest = median(async || drop(server.json(&path).await)).await;
        let grpc = median(async || {
            let call = client.ping_and_call("/spec.v1.SpecService/GetSpec", &message);
            let stream = call.await;
            client.wait_for_end(stream).await;
        })
        .await;
        if grpc < rest + LIMIT {
            return;
        }
        medians.push((rest, grpc));
    }
    panic!("no round had a difference below {LIMIT:?}; medians of REST and gRPC: {medians:?}");
}
