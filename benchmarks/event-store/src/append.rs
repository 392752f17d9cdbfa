//! Appends of one event: one call each, and over one bidirectional stream.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use factum_store_protocol::v1;
use factum_store_protocol::v1::append_stream_response::Result as Outcome;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::client::{Client, native_append};
use crate::report::Measured;
use crate::server::Server;

/// The time before each measurement.
const WARM_UP: Duration = Duration::from_millis(500);
/// The number of appends of a stream that are under way.
const IN_FLIGHT: usize = 256;

/// Measures `clients` clients, each on its own connection.
///
/// A client sends its next append after the answer to the last one.
pub async fn unary(server: &Server, clients: usize, duration: Duration) -> Result<Measured> {
    let mut tasks = Vec::new();
    let begin = Instant::now() + WARM_UP;
    let server_time = server.cpu_between(begin, begin + duration);
    for number in 0..clients {
        let client = server.connect().await?;
        tasks.push(tokio::spawn(repeat(
            client,
            number,
            begin,
            begin + duration,
        )));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(Measured::of(latencies, duration).with_server_time(server_time.await??, duration))
}

async fn repeat(
    mut client: Client,
    writer: usize,
    begin: Instant,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let sent = Instant::now();
        client.append(writer, 1).await?;
        let answered = Instant::now();
        if answered > end {
            return Ok(latencies);
        }
        if sent > begin {
            latencies.push(answered - sent);
        }
    }
}

/// Measures one connection with one stream of appends.
pub async fn stream(server: &Server, duration: Duration) -> Result<Measured> {
    let Client::Native(mut client) = server.connect().await? else {
        anyhow::bail!("only the native protocol has a stream of appends");
    };
    let (sender, requests) = mpsc::channel(IN_FLIGHT);
    let answers = client.append_stream(ReceiverStream::new(requests)).await?;
    let mut answers = answers.into_inner();
    let begin = Instant::now() + WARM_UP;
    let end = begin + duration;
    let server_time = server.cpu_between(begin, end);
    let mut sent = VecDeque::with_capacity(IN_FLIGHT);
    let mut latencies = Vec::new();
    let mut number = 0;
    while Instant::now() < end {
        while sent.len() < IN_FLIGHT {
            number += 1;
            let append = Some(native_append(number as usize % 64, 1));
            let request_id = number;
            sender
                .send(v1::AppendStreamRequest { request_id, append })
                .await?;
            sent.push_back(Instant::now());
        }
        let answer = answers.message().await?;
        let is_stored = matches!(answer.and_then(|it| it.result), Some(Outcome::Appended(_)));
        ensure!(is_stored, "an append was not stored");
        let was_sent = sent.pop_front();
        if let Some(was_sent) = was_sent.filter(|sent| *sent > begin) {
            latencies.push(was_sent.elapsed());
        }
    }
    Ok(Measured::of(latencies, duration).with_server_time(server_time.await??, duration))
}
