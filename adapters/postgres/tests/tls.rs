//! Tests of connections with TLS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "../../../event-store/tests/support/authority.rs"]
mod authority;
#[path = "support/logs.rs"]
mod logs;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "../../../tests/src/own_server.rs"]
mod own_server;

use std::net::TcpListener;

use authority::{Authority, Issued};
use factum::store::{Append, DocumentChanges, EventStore as _, StoreError};
use factum_postgres::sqlx::{self, AssertSqlSafe, ConnectOptions as _, postgres::PgSslMode};
use factum_postgres::{PgConnectOptions, PgConnection, PostgresOptions, PostgresStore};
use logs::Logs;
use own_server::OwnServer;

/// Starts a server that listens on a port of `localhost`.
fn start() -> Option<(OwnServer, PgConnectOptions)> {
    let port = TcpListener::bind("localhost:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let options = [
        "-c",
        "listen_addresses=localhost",
        "-c",
        &format!("port={port}"),
    ];
    let server = OwnServer::start(&options)?;
    let address = PgConnectOptions::new_without_pgpass()
        .host("localhost")
        .port(port);
    let address = address.username("postgres").database("postgres");
    Some((server, address))
}

/// Starts a server with a certificate of `authority`.
async fn start_with_tls(authority: &Authority) -> Option<(OwnServer, PgConnectOptions)> {
    let (server, address) = start()?;
    let mut admin = address
        .clone()
        .ssl_mode(PgSslMode::Disable)
        .connect()
        .await
        .unwrap();
    let Issued { certificate, key } = authority.server_named("localhost");
    write(&mut admin, "server.crt", &certificate).await;
    write(&mut admin, "server.key", &key).await;
    for sql in ["alter system set ssl = on", "select pg_reload_conf()"] {
        sqlx::query(sql).execute(&mut admin).await.unwrap();
    }
    let has_tls = address.clone().ssl_mode(PgSslMode::Require);
    while has_tls.connect().await.is_err() {}
    Some((server, address))
}

/// Lets the server write a file in its directory.
async fn write(admin: &mut PgConnection, file: &str, text: &str) {
    let sql = format!(
        "copy (select string_to_table(trim('{text}'), e'\\n')) to program 'umask 077; cat > {file}'"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(admin)
        .await
        .unwrap();
}

async fn open(address: PgConnectOptions) -> Result<PostgresStore, StoreError> {
    PostgresOptions::new(address).readers(2).open().await
}

/// Returns the number of sessions of the store with TLS, and of those without.
async fn sessions(store: &PostgresStore) -> (i64, i64) {
    let changes = DocumentChanges::new().put("key", "{}");
    store
        .append(Append::default().with_changes(changes))
        .await
        .unwrap();
    let sql = "select count(*) filter (where ssl), count(*) filter (where not ssl)
               from pg_stat_ssl join pg_stat_activity using (pid) where backend_type = 'client backend'";
    sqlx::query_as(sql).fetch_one(store.pool()).await.unwrap()
}

/// Returns the message of the cause of `StoreError::Failed`.
fn reason(opened: Result<PostgresStore, StoreError>) -> String {
    match opened {
        Err(StoreError::Failed(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sessions_use_tls_if_it_is_required() {
    let authority = Authority::new();
    let Some((_server, address)) = start_with_tls(&authority).await else {
        return;
    };
    let store = open(address.ssl_mode(PgSslMode::Require)).await.unwrap();
    let (with_tls, without) = sessions(&store).await;
    assert!(with_tls >= 3 && without == 0, "{with_tls} {without}");
    store.close().await;
}

#[tokio::test]
async fn verify_full_checks_certificate_and_host() {
    let authority = Authority::new();
    let Some((_server, address)) = start_with_tls(&authority).await else {
        return;
    };
    let verified = address.clone().ssl_mode(PgSslMode::VerifyFull);
    let trusted = verified
        .clone()
        .ssl_root_cert_from_pem(authority.pem.clone().into());
    open(trusted.clone()).await.unwrap().close().await;
    let unknown = reason(open(verified.clone()).await);
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    let stranger = verified.ssl_root_cert_from_pem(Authority::new().pem.into());
    let untrusted = reason(open(stranger).await);
    assert!(
        untrusted.contains("invalid peer certificate"),
        "{untrusted}"
    );
    let other_name = reason(open(trusted.clone().host("127.0.0.1")).await);
    assert!(other_name.contains("not valid for name"), "{other_name}");
    // The name does not matter to this mode.
    let store = open(trusted.host("127.0.0.1").ssl_mode(PgSslMode::VerifyCa)).await;
    store.unwrap().close().await;
}

#[tokio::test]
async fn prefer_uses_tls_or_logs_a_warning() {
    let authority = Authority::new();
    let Some((_server, address)) = start_with_tls(&authority).await else {
        return;
    };
    assert!(matches!(address.get_ssl_mode(), PgSslMode::Prefer));
    let logs = Logs::start();
    let store = open(address).await.unwrap();
    assert_eq!(sessions(&store).await.1, 0);
    store.close().await;
    assert_eq!(logs.warnings(), Vec::<String>::new());

    let (_server, address) = start().unwrap();
    let store = open(address.clone()).await.unwrap();
    assert_eq!(sessions(&store).await.0, 0);
    store.close().await;
    let warnings = logs.warnings();
    let expected =
        "connected without TLS, because sslmode is prefer; set sslmode=require or sslmode=disable";
    assert!(
        warnings.len() == 1 && warnings[0].contains(expected),
        "{warnings:?}"
    );
    let refused = reason(open(address.ssl_mode(PgSslMode::Require)).await);
    assert!(refused.contains("server does not support TLS"), "{refused}");
}
