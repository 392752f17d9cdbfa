//! The servers: each on an empty log in the working directory.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::client::{Client, Protocol};

/// The version of UmaDB.
const UMADB: &str = "umadb==0.7.8";
/// The unit of processor times in `/proc`: `USER_HZ` is 100 on every architecture.
const TICK: Duration = Duration::from_millis(10);
const START_LIMIT: Duration = Duration::from_secs(30);

/// A server and the protocol by which it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// UmaDB's server.
    Umadb,
    /// The event store server by UmaDB's protocol.
    Compatible,
    /// The event store server by its native protocol.
    Native,
}

impl Side {
    pub const ALL: [Self; 3] = [Self::Umadb, Self::Compatible, Self::Native];

    pub fn name(self) -> &'static str {
        match self {
            Self::Umadb => "UmaDB 0.7.8",
            Self::Compatible => "event-store, UmaDB's protocol",
            Self::Native => "event-store, native protocol",
        }
    }

    fn protocol(self) -> Protocol {
        match self {
            Self::Umadb | Self::Compatible => Protocol::Umadb,
            Self::Native => Protocol::Native,
        }
    }
}

/// The programs of the servers.
pub struct Programs {
    event_store: PathBuf,
    umadb: PathBuf,
}

impl Programs {
    /// Builds and installs the programs that are not given.
    pub fn find(event_store: Option<PathBuf>, umadb: Option<PathBuf>) -> Result<Self> {
        Ok(Self {
            event_store: match event_store {
                Some(program) => program,
                None => build()?,
            },
            umadb: match umadb {
                Some(program) => program,
                None => install()?,
            },
        })
    }

    /// Starts the server of `side` on an empty log, and waits until it accepts connections.
    pub async fn start(&self, side: Side) -> Result<Server> {
        // In the working directory, whose disk is measured.
        let log = TempDir::new_in(".")?;
        let (child, url) = match side {
            Side::Umadb => start_umadb(&self.umadb, log.path())?,
            Side::Compatible | Side::Native => start_event_store(&self.event_store, log.path())?,
        };
        let server = Server {
            child,
            url,
            side,
            _log: log,
        };
        let started = Instant::now();
        while let Err(error) = server.channel().await {
            ensure!(
                started.elapsed() < START_LIMIT,
                "the server does not start: {error:#}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }
}

fn build() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let command = ["build", "--release", "--package", "event-store"];
    let built = Command::new("cargo")
        .args(command)
        .current_dir(&root)
        .status()?;
    ensure!(built.success(), "cargo cannot build the event store server");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/event-store"))
}

fn install() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/umadb");
    let program = folder.join("bin/umadb");
    if !program.exists() {
        let created = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&folder)
            .status()?;
        ensure!(created.success(), "python3 cannot create an environment");
        let pip = ["install", "--quiet", "--disable-pip-version-check", UMADB];
        let installed = Command::new(folder.join("bin/pip")).args(pip).status()?;
        ensure!(installed.success(), "pip cannot install {UMADB}");
    }
    Ok(program)
}

fn start_umadb(program: &Path, log: &Path) -> Result<(Child, String)> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let child = Command::new(program)
        .args(["--listen", &address.to_string(), "--db-path"])
        .arg(log)
        .stdout(Stdio::null())
        .spawn()?;
    Ok((child, format!("http://{address}")))
}

fn start_event_store(program: &Path, log: &Path) -> Result<(Child, String)> {
    let help = Command::new(program).arg("--help").output()?.stdout;
    let has_access = String::from_utf8_lossy(&help).contains("--insecure");
    let mut child = Command::new(program)
        .arg("--store")
        .arg(format!("sqlite:{}", log.join("events.db").display()))
        .args(["--bind-addr", "127.0.0.1:0"])
        .args(has_access.then_some("--insecure"))
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("standard output is piped")?;
    for line in BufReader::new(output).lines() {
        if let Some((_, url)) = line?.split_once("gRPC API on ") {
            return Ok((child, url.to_owned()));
        }
    }
    bail!("the event store server has ended")
}

/// A running server, which ends when it is dropped.
pub struct Server {
    child: Child,
    url: String,
    side: Side,
    _log: TempDir,
}

impl Server {
    async fn channel(&self) -> Result<Channel> {
        let endpoint = Channel::from_shared(self.url.clone())?.tcp_nodelay(true);
        Ok(endpoint.connect().await?)
    }

    /// Connects.
    pub async fn connect(&self) -> Result<Client> {
        Ok(Client::new(self.channel().await?, self.side.protocol()))
    }

    /// Returns the processor time that the process has used.
    pub fn cpu_time(&self) -> Result<Duration> {
        cpu_time(&self.child.id().to_string())
    }

    /// Starts to measure the processor time that the process uses from `begin` to `end`.
    pub fn cpu_between(&self, begin: Instant, end: Instant) -> JoinHandle<Result<Duration>> {
        let process = self.child.id().to_string();
        tokio::spawn(async move {
            tokio::time::sleep_until(begin.into()).await;
            let before = cpu_time(&process)?;
            tokio::time::sleep_until(end.into()).await;
            Ok(cpu_time(&process)? - before)
        })
    }

    /// Returns the resident memory of the process in bytes.
    pub fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let line = line.context("the process has no memory")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }
}

/// Returns the processor time that the process `process` in `/proc` has used.
pub fn cpu_time(process: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, which may contain spaces, is in parentheses. User and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').context("the process has a name")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(TICK * u32::try_from(ticks)?)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
