//! Tests of opening: names, roles, encodings, settings, and servers that are not suitable.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
#[allow(dead_code, reason = "every test names its schema")]
mod server;

use std::sync::Arc;

use factum::store::{
    Append, ContentType, DocumentChanges, DocumentStore as _, EventStore as _, ExpectedVersion,
    Metadata, NewEvent, Query, Read, StoreError,
};
use factum_postgres::sqlx::{self, AssertSqlSafe, ConnectOptions as _};
use factum_postgres::{PgConnectOptions, PgConnection, PostgresOptions, PostgresStore};
use server::own_server::OwnServer;
use uuid::Uuid;

fn opened(number: u64) -> Append {
    let event = NewEvent {
        id: Uuid::now_v7(),
        name: "account.opened".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: r#"{"owner":"Ada \\ \u0001 'x'"}"#.into(),
        tags: vec!["owner:ada".to_owned().try_into().unwrap()],
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    let stream = format!("account-{number}").parse().unwrap();
    Append::stream(stream, ExpectedVersion::NoStream, vec![event])
}

/// Appends and reads, with and without the cache of the writer.
async fn check(store: &PostgresStore) {
    let start = store
        .read(Read::all(Query::all()))
        .await
        .unwrap()
        .head
        .get();
    for number in start + 1..=start + 4 {
        let appended = store.append(opened(number)).await.unwrap();
        assert_eq!(appended.position.get(), number);
    }
    let changes = DocumentChanges::new().put("key", "{}");
    store.change_documents(changes).await.unwrap();
    let page = store.read(Read::all(Query::all())).await.unwrap();
    assert_eq!(page.events.len() as u64, start + 4);
    assert_eq!(page.events[0].data, opened(1).events[0].event.data);
}

async fn run(admin: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(admin)
        .await
        .unwrap();
}

/// Returns the reason why a store was not opened.
fn reason(opened: Result<PostgresStore, StoreError>) -> String {
    match opened {
        Err(StoreError::Failed(error)) => error.to_string(),
        Err(StoreError::CannotOpen(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Returns the server, a superuser's connection, and a name that no other test uses.
async fn start() -> Option<(PgConnectOptions, PgConnection, String)> {
    let (server, _) = server::fresh_with_address()?;
    let name = server.get_application_name().unwrap().to_owned();
    let admin = server.connect().await.unwrap();
    Some((server, admin, name))
}

fn options(server: &PgConnectOptions, schema: &str) -> PostgresOptions {
    PostgresOptions::new(server.clone())
        .schema(schema)
        .readers(2)
}

/// Returns the address of the socket of a server, as a superuser.
fn address(server: &OwnServer) -> PgConnectOptions {
    server.url().parse().unwrap()
}

#[tokio::test]
async fn schema_may_have_the_name_of_a_keyword() {
    let Some(server) = OwnServer::start(&[]) else {
        return;
    };
    for name in [
        "order",
        "user",
        "table",
        "select",
        "default",
        "current_user",
        "public",
    ] {
        let options = options(&address(&server), name);
        let store = options.clone().open().await.unwrap();
        check(&store).await;
        store.close().await;
        let again = options.open().await.unwrap();
        check(&again).await;
        again.close().await;
    }
    for name in ["pg_mine", "information_schema", "Order", "ö"] {
        let reason = reason(options(&address(&server), name).open().await);
        assert!(reason.starts_with("invalid schema name: "), "{reason}");
    }
}

#[tokio::test]
async fn extreme_numbers_of_readers_are_rejected() {
    let server = PgConnectOptions::new_without_pgpass();
    for readers in [0, 1_001, u32::MAX] {
        let options = PostgresOptions::new(server.clone()).readers(readers);
        let expected = format!("invalid number of readers: {readers}; expected 1 to 1000");
        assert_eq!(reason(options.open().await), expected);
    }
}

#[tokio::test]
async fn role_without_create_opens_a_current_schema() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    options(&server, &name).open().await.unwrap().close().await;
    let grant = format!(
        "create role {name} login; grant usage on schema {name} to {name};
         grant select, insert, update, delete on all tables in schema {name} to {name};
         grant usage on all sequences in schema {name} to {name}"
    );
    run(&mut admin, grant).await;
    let app = server.clone().username(&name);
    let store = options(&app, &name).open().await.unwrap();
    check(&store).await;
    store.close().await;
    // The schema of an older version must be updated by another role.
    run(
        &mut admin,
        format!("update {name}.schema_version set version = 0"),
    )
    .await;
    let denied = reason(options(&app, &name).open().await);
    let expected = format!(
        "cannot create or update schema {name:?}: the role has no privilege; open the store once with a role that has it"
    );
    assert_eq!(denied, expected);
}

#[tokio::test]
async fn role_without_a_privilege_gets_a_clear_error() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    run(&mut admin, format!("create role {name} login")).await;
    let app = server.clone().username(&name);
    let create = reason(options(&app, &name).open().await);
    assert!(
        create.starts_with("cannot create or update schema"),
        "{create}"
    );
    options(&server, &name).open().await.unwrap().close().await;
    let unusable = reason(options(&app, &name).open().await);
    assert!(
        unusable.contains("permission denied for schema"),
        "{unusable}"
    );
    let grant = format!(
        "grant usage on schema {name} to {name}; grant select on all tables in schema {name} to {name}"
    );
    run(&mut admin, grant).await;
    let read_only = reason(options(&app, &name).open().await);
    let expected = format!("role {name:?} lacks the privilege update on \"head\"; grant it");
    assert_eq!(read_only, expected);
    let grant = format!("grant all on all tables in schema {name} to {name}");
    run(&mut admin, grant).await;
    let sequence = reason(options(&app, &name).open().await);
    let expected = format!("role {name:?} lacks the privilege usage on \"revision\"; grant it");
    assert_eq!(sequence, expected);
}

#[tokio::test]
async fn empty_schema_of_a_role_is_migrated() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    let create = format!("create role {name} login; create schema {name} authorization {name}");
    run(&mut admin, create).await;
    let app = server.clone().username(&name);
    check(&options(&app, &name).open().await.unwrap()).await;
}

#[tokio::test]
async fn database_with_another_encoding_is_rejected() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    for encoding in ["LATIN1", "SQL_ASCII", "WIN1252"] {
        let database = format!("{name}_{}", encoding.to_lowercase());
        let create = format!(
            "create database {database} template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'"
        );
        run(&mut admin, create).await;
        let other = server.clone().database(&database);
        let expected = format!(
            "database {database:?} has the encoding {encoding}; create one with UTF8: \
             create database … encoding 'UTF8' template template0"
        );
        assert_eq!(reason(options(&other, "factum").open().await), expected);
        let mut other = other.connect().await.unwrap();
        let schema: Option<String> = sqlx::query_scalar("select to_regnamespace('factum')::text")
            .fetch_one(&mut other)
            .await
            .unwrap();
        assert_eq!(schema, None);
    }
}

#[tokio::test]
async fn defaults_of_the_role_do_not_matter() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    let defaults = format!(
        "create role {name} superuser login;
         alter role {name} set standard_conforming_strings = off;
         alter role {name} set escape_string_warning = off;
         alter role {name} set client_encoding = 'LATIN1';
         alter role {name} set search_path = pg_catalog, public;
         alter role {name} set default_transaction_isolation = 'serializable';
         alter role {name} set synchronous_commit = off;
         alter role {name} set extra_float_digits = -15;
         alter role {name} set bytea_output = 'escape';
         alter role {name} set datestyle = 'German';
         alter role {name} set idle_session_timeout = '200ms';
         alter role {name} set plan_cache_mode = 'force_custom_plan'"
    );
    run(&mut admin, defaults).await;
    let other = server.clone().username(&name);
    let store = options(&other, &name).open().await.unwrap();
    check(&store).await;
    let sql = "select current_setting('synchronous_commit') || ' ' || current_setting('default_transaction_isolation')";
    let settings: String = sqlx::query_scalar(sql)
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(settings, "on read committed");
    // Longer than the timeout of idle sessions: no connection was lost.
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let sql =
        "select count(*) from pg_stat_activity where application_name = $1 and usename::text = $1";
    let sessions: i64 = sqlx::query_scalar(sql)
        .bind(&name)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    check(&store).await;
    let after: i64 = sqlx::query_scalar(sql)
        .bind(&name)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(sessions, after);
    store.close().await;
}

#[tokio::test]
async fn stronger_synchronous_commit_is_kept() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    for mode in ["local", "remote_write", "on", "remote_apply"] {
        let role = format!("{name}_{mode}");
        let create = format!(
            "create role {role} superuser login; alter role {role} set synchronous_commit = {mode}"
        );
        run(&mut admin, create).await;
        let other = server.clone().username(&role);
        let store = options(&other, &name).open().await.unwrap();
        let sql = "select current_setting('synchronous_commit')";
        let kept: String = sqlx::query_scalar(sql)
            .fetch_one(store.pool())
            .await
            .unwrap();
        assert_eq!(kept, mode);
        store.close().await;
    }
}

#[tokio::test]
async fn policies_that_hide_events_are_rejected() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    options(&server, &name).open().await.unwrap().close().await;
    let grant = format!(
        "create role {name} login; grant usage on schema {name} to {name};
         grant all on all tables in schema {name} to {name};
         grant usage on all sequences in schema {name} to {name};
         alter table {name}.event enable row level security;
         create policy few on {name}.event using (position < 10)"
    );
    run(&mut admin, grant).await;
    let app = server.clone().username(&name);
    let expected = format!(
        "row-level security hides rows of \"event\" from role {name:?}; use the owner of the table, or a role with bypassrls"
    );
    assert_eq!(reason(options(&app, &name).open().await), expected);
    // The policy does not apply to the owner of the table.
    check(&options(&server, &name).open().await.unwrap()).await;
}

#[tokio::test]
async fn read_only_role_is_rejected() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    let create = format!(
        "create role {name} superuser login; alter role {name} set default_transaction_read_only = on"
    );
    run(&mut admin, create).await;
    let expected = "transactions are read-only in database \"postgres\"; \
                    set default_transaction_read_only = off for this role";
    assert_eq!(
        reason(options(&server.username(&name), &name).open().await),
        expected
    );
}

#[tokio::test]
async fn standby_is_rejected() {
    let Some(server) = OwnServer::start(&[]) else {
        return;
    };
    let store = options(&address(&server), "factum").open().await.unwrap();
    check(&store).await;
    store.close().await;
    server.control("stop");
    server.control("standby");
    server.control("start");
    let rejected = reason(options(&address(&server), "factum").open().await);
    let expected = "the server is a read-only standby; connect to the primary server";
    assert_eq!(rejected, expected);
}
