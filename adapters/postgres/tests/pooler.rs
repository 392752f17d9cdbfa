//! Tests of a connection pooler between the store and the server: pgbouncer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "../../../tests/src/own_server.rs"]
mod own_server;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use factum::store::{
    Append, ContentType, DocumentChanges, DocumentStore as _, EventStore as _, ExpectedVersion,
    Metadata, NewEvent, Query, Read, StoreError,
};
use factum_postgres::{PgConnectOptions, PostgresOptions};
use own_server::OwnServer;
use uuid::Uuid;

struct Pgbouncer {
    process: Child,
    address: PgConnectOptions,
    _dir: tempfile::TempDir,
}

impl Pgbouncer {
    /// Starts pgbouncer before `server`; `None` if it is not installed.
    fn start(server: &OwnServer, settings: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pgbouncer.ini");
        let config = format!(
            "[databases]\npostgres = host={} port=5432 user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n",
            server.dir
        );
        std::fs::write(&file, config).unwrap();
        // Another user reads the file, because pgbouncer does not run as root.
        for path in [dir.path(), &file] {
            let readable = Command::new("chmod").arg("a+rx").arg(path).status();
            assert!(readable.unwrap().success());
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("pgbouncer");
        command
            .env("PATH", format!("{path}:/usr/sbin"))
            .arg("-q")
            .arg(&file);
        if Command::new("id").arg("-u").output().unwrap().stdout == b"0\n" {
            command.args(["-u", "postgres"]);
        }
        let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(process) = spawned else {
            let message = b"SKIPPED: pgbouncer is not installed\n";
            std::io::stderr().write_all(message).unwrap();
            return None;
        };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {}
        let address = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port);
        let address = address.username("postgres").database("postgres");
        Some(Self {
            process,
            address,
            _dir: dir,
        })
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn noted(number: u64) -> Append {
    let event = NewEvent {
        id: Uuid::now_v7(),
        name: "account.noted".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: vec![],
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    let stream = format!("account-{number}").parse().unwrap();
    Append::stream(stream, ExpectedVersion::Any, vec![event])
}

#[tokio::test(flavor = "multi_thread")]
async fn session_pooling_works() {
    let Some(server) = OwnServer::start(&[]) else {
        return;
    };
    let settings = "pool_mode = session\ndefault_pool_size = 40\nmax_client_conn = 100";
    let Some(pgbouncer) = Pgbouncer::start(&server, settings) else {
        return;
    };
    let open = |schema: &str| {
        let options = PostgresOptions::new(pgbouncer.address.clone()).schema(schema);
        options.readers(4).open()
    };
    // The pooler gives the sessions of a store that was closed to the next one.
    for _ in 0..3 {
        let (one, other) = (open("one").await.unwrap(), open("other").await.unwrap());
        let before = one.read(Read::all(Query::all())).await.unwrap().head.get();
        let mut head = open("one").await.unwrap().watch();
        for number in 1..=4 {
            for store in [&one, &other] {
                let appended = store.append(noted(number)).await.unwrap();
                assert_eq!(appended.position.get(), before + number);
                let changes = DocumentChanges::new().put("key", "{}");
                store.change_documents(changes).await.unwrap();
                let page = store.read(Read::all(Query::all())).await.unwrap();
                assert_eq!(page.events.len() as u64, before + number);
            }
        }
        // The handle of this receiver was dropped.
        while head.changed().await.is_ok() {}
        one.close().await;
        other.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_pooling_is_rejected_at_open() {
    let Some(server) = OwnServer::start(&[]) else {
        return;
    };
    for mode in [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1\ndefault_pool_size = 3",
        "pool_mode = transaction\ndefault_pool_size = 1",
    ] {
        let Some(pgbouncer) = Pgbouncer::start(&server, mode) else {
            return;
        };
        for _ in 0..5 {
            let options = PostgresOptions::new(pgbouncer.address.clone()).readers(2);
            let Err(StoreError::Failed(error)) = options.open().await else {
                panic!("{mode}: the sessions of a store must be its own");
            };
            let expected = "a connection pooler gives each transaction another session; connect to the server itself, \
                            or use the pool mode \"session\"";
            assert_eq!(error.to_string(), expected, "{mode}");
        }
    }
}
