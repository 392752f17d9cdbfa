//! The memory of a server with many live subscribers.

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;

use crate::report::Memory;
use crate::server::Server;

/// The number of subscribers on one connection.
const ON_ONE_CONNECTION: usize = 100;
/// The number of events that each subscriber receives.
const EVENTS: usize = 100;

pub async fn measure(server: &Server, subscribers: usize) -> Result<Memory> {
    let mut writer = server.connect().await?;
    let after = writer.append(0, 1_000).await?;
    let before = server.memory()?;
    let mut tasks = Vec::new();
    for first in (0..subscribers).step_by(ON_ONE_CONNECTION) {
        let mut client = server.connect().await?;
        for _ in first..subscribers.min(first + ON_ONE_CONNECTION) {
            let mut subscription = client.subscribe(after).await?;
            tasks.push(tokio::spawn(async move {
                let last = after + EVENTS as u64;
                let mut position = after;
                while position < last {
                    let received = subscription
                        .next()
                        .await
                        .context("the subscription ended")??;
                    position = received.map_or(position, |received| received.last);
                }
                anyhow::Ok(subscription)
            }));
        }
    }
    for _ in 0..EVENTS {
        writer.append(0, 1).await?;
    }
    let mut live = Vec::new();
    for task in tasks {
        live.push(task.await??);
    }
    Ok(Memory {
        before,
        with_subscribers: server.memory()?,
    })
}
