//! A subscription and a consumer whose server is killed and started again.
//!
//! The environment variable `EVENT_STORE_BINARY` is the program of the server.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use factum_store_client::{Client, EventData, ExpectedVersion, GroupOptions, Position};

const EVENTS: u64 = 30;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A server process on a file, which is killed when it is dropped.
struct ServerProcess {
    process: Child,
    address: SocketAddr,
    file: PathBuf,
}

impl ServerProcess {
    fn start(address: SocketAddr, file: &Path) -> Result<Self> {
        let mut process = Command::new(std::env::var("EVENT_STORE_BINARY")?)
            .args(["--insecure", "--bind-addr", &address.to_string(), "--store"])
            .arg(format!("sqlite:{}", file.display()))
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("the output is missing")?;
        for line in BufReader::new(output).lines() {
            if line?.contains("gRPC API on") {
                let file = file.to_owned();
                return Ok(Self {
                    process,
                    address,
                    file,
                });
            }
        }
        Err("the server did not start".into())
    }

    fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        let mut started = Self::start(self.address, &self.file)?;
        std::mem::swap(&mut self.process, &mut started.process);
        Ok(())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The process may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut server = ServerProcess::start(address, &folder.path().join("events.db"))?;
    let client = Client::open(format!("factum://{address}"))?;
    client.groups().create("copy", GroupOptions::new()).await?;

    let writer = client.clone();
    let appends = tokio::spawn(async move {
        for _ in 0..EVENTS {
            let event = EventData::bytes("tick", "application/json", "{}");
            let append = writer.append("clock-1", ExpectedVersion::Any, [event]);
            append.await.expect("the append is repeated");
        }
    });

    let mut messages = client.subscribe().start();
    let mut next = 1;
    while next <= EVENTS {
        let message = messages.next().await.ok_or("the subscription ended")??;
        if let Some(event) = message.into_event() {
            assert_eq!(event.position, Position::new(next));
            next += 1;
            if next == EVENTS / 3 {
                server.restart()?;
            }
        }
    }
    appends.await?;

    let mut consumer = client.consume("copy").start();
    let mut settled = BTreeSet::new();
    while settled.len() < EVENTS as usize {
        let delivery = consumer.next().await.ok_or("the consumer ended")??;
        let is_new = settled.insert(delivery.event.position);
        if is_new && settled.len() == EVENTS as usize / 3 {
            server.restart()?;
        }
        delivery.ack();
    }
    consumer.leave().await;
    assert_eq!(client.head().await?, Position::new(EVENTS));
    Ok(())
}
