//! Tests of errors of the server: each class ends with the right kind of error, and the store works again afterwards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
#[allow(dead_code, reason = "every test names its schema")]
mod server;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use factum::store::{
    Append, AppendError, ContentType, DocumentChanges, DocumentStore as _, EventStore as _,
    ExpectedVersion, Metadata, NewEvent, Query, Read, StoreError,
};
use factum_postgres::sqlx::{self, AssertSqlSafe, ConnectOptions as _};
use factum_postgres::{PgConnectOptions, PgConnection, PostgresOptions, PostgresStore};
use server::own_server::OwnServer;
use uuid::Uuid;

fn noted(data: &str) -> Append {
    let event = NewEvent {
        id: Uuid::now_v7(),
        name: "account.noted".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: format!("{data:?}").into(),
        tags: vec![],
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    let stream = "account-1".parse().unwrap();
    Append::stream(stream, ExpectedVersion::Any, vec![event])
}

fn is_unavailable<T>(result: &Result<T, AppendError>) -> bool {
    matches!(result, Err(AppendError::Store(StoreError::Unavailable(_))))
}

/// Appends until it succeeds, and returns the position.
async fn append_again(store: &PostgresStore) -> u64 {
    let started = Instant::now();
    loop {
        match store.append(noted("again")).await {
            Ok(appended) => return appended.position.get(),
            Err(error) => assert!(started.elapsed().as_secs() < 20, "{error:?}"),
        }
    }
}

async fn count(store: &PostgresStore) -> u64 {
    store
        .read(Read::all(Query::all()))
        .await
        .unwrap()
        .head
        .get()
}

async fn run(admin: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(admin)
        .await
        .unwrap();
}

/// Returns the server, a superuser's connection, and a name that no other test uses.
async fn start() -> Option<(PgConnectOptions, PgConnection, String)> {
    let (server, _) = server::fresh_with_address()?;
    let name = server.get_application_name().unwrap().to_owned();
    let admin = server.connect().await.unwrap();
    Some((server, admin, name))
}

/// Returns the address of the socket of a server, as a superuser.
fn address(server: &OwnServer) -> PgConnectOptions {
    server.url().parse().unwrap()
}

#[tokio::test]
async fn timeouts_of_statements_and_locks_are_transient() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    for (number, setting) in ["lock_timeout", "statement_timeout"]
        .into_iter()
        .enumerate()
    {
        let role = format!("{name}_{number}");
        let create = format!(
            "create role {role} superuser login; alter role {role} set {setting} = '200ms'"
        );
        run(&mut admin, create).await;
        let options = PostgresOptions::new(server.clone().username(&role)).schema(&role);
        let store = options.open().await.unwrap();
        // The database checks the first append, the writer the second.
        for stored in 0..2 {
            run(
                &mut admin,
                format!("begin; select from {role}.head for update"),
            )
            .await;
            let appended = store.append(noted("late")).await;
            run(&mut admin, "rollback".to_owned()).await;
            assert!(is_unavailable(&appended), "{setting}: {appended:?}");
            assert_eq!(count(&store).await, stored);
            assert_eq!(append_again(&store).await, stored + 1);
        }
        let change = || DocumentChanges::new().put("key", "{}");
        store.change_documents(change()).await.unwrap();
        run(
            &mut admin,
            format!("begin; select from {role}.document for update"),
        )
        .await;
        let changed = store.change_documents(change()).await;
        run(&mut admin, "rollback".to_owned()).await;
        let changed = changed.map_err(AppendError::from);
        assert!(is_unavailable(&changed), "{setting}: {changed:?}");
        store.close().await;
    }
}

#[tokio::test]
async fn missing_privilege_and_read_only_role_are_told_apart() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    let create = format!("create role {name} login; create schema {name} authorization {name}");
    run(&mut admin, create).await;
    let options = PostgresOptions::new(server.username(&name)).schema(&name);
    let store = options.open().await.unwrap();
    run(
        &mut admin,
        format!("revoke insert on {name}.event from {name}"),
    )
    .await;
    let Err(AppendError::Store(StoreError::Failed(error))) = store.append(noted("denied")).await
    else {
        panic!("a retry does not help");
    };
    assert!(
        error
            .to_string()
            .contains("permission denied for table event"),
        "{error}"
    );
    run(
        &mut admin,
        format!("grant insert on {name}.event to {name}"),
    )
    .await;
    assert_eq!(append_again(&store).await, 1);
    // Servers become read-only for a time, for example when another one takes over. The setting is for new sessions.
    run(
        &mut admin,
        format!("alter role {name} set default_transaction_read_only = on"),
    )
    .await;
    let kill = format!(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = '{name}'"
    );
    run(&mut admin, kill.clone()).await;
    // The outcome cannot be found out while the server is read-only.
    let lost = store.append(noted("lost")).await;
    let is_unknown = matches!(
        lost,
        Err(AppendError::Store(
            StoreError::Interrupted(_) | StoreError::Unavailable(_)
        ))
    );
    assert!(is_unknown, "{lost:?}");
    for _ in 0..2 {
        let rejected = store.append(noted("read-only")).await;
        assert!(is_unavailable(&rejected), "{rejected:?}");
    }
    run(
        &mut admin,
        format!("alter role {name} reset default_transaction_read_only"),
    )
    .await;
    assert_eq!(append_again(&store).await, 2);
}

#[tokio::test]
async fn lack_of_connections_is_transient() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    let create = format!(
        "create role {name} login connection limit 3; create schema {name} authorization {name}"
    );
    run(&mut admin, create).await;
    let options = PostgresOptions::new(server.username(&name)).schema(&name);
    let store = options.clone().open().await.unwrap();
    let second = options.clone().open().await;
    assert!(
        matches!(second, Err(StoreError::Unavailable(_))),
        "{second:?}"
    );
    store.close().await;
    options.open().await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_server_loses_nothing_acknowledged() {
    let Some(server) = OwnServer::start(&[]) else {
        return;
    };
    let server = Arc::new(server);
    let options = PostgresOptions::new(address(&server)).readers(2);
    let store = options.clone().open().await.unwrap();
    for how in ["stop", "crash"] {
        let before = append_again(&store).await;
        let writing: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut acknowledged = Vec::new();
                    loop {
                        match store.append(noted("running")).await {
                            Ok(appended) => acknowledged.push(appended.position.get()),
                            Err(AppendError::Store(
                                StoreError::Unavailable(_) | StoreError::Interrupted(_),
                            )) => return acknowledged,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                })
            })
            .collect();
        let mut head = store.watch();
        head.wait_for(|head| head.get() > before + 100)
            .await
            .unwrap();
        let control = server.clone();
        tokio::task::spawn_blocking(move || control.control(how))
            .await
            .unwrap();
        let mut acknowledged = Vec::new();
        for writer in writing {
            acknowledged.extend(writer.await.unwrap());
        }
        let down = store.append(noted("down")).await;
        assert!(is_unavailable(&down), "{down:?}");
        let read = store.read(Read::all(Query::all())).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        let control = server.clone();
        tokio::task::spawn_blocking(move || control.control("start"))
            .await
            .unwrap();
        // A receiver of the head continues, with the appends of another store, too.
        let other = options.clone().open().await.unwrap();
        let last = append_again(&other).await;
        head.wait_for(|head| head.get() >= last).await.unwrap();
        other.close().await;
        append_again(&store).await;
        let mut stored = Vec::new();
        let mut position = factum::Position::new(before);
        loop {
            let page = store
                .read(Read::all(Query::all()).after(position))
                .await
                .unwrap();
            stored.extend(page.events.iter().map(|event| event.position.get()));
            position = page.through();
            if !page.more {
                break;
            }
        }
        acknowledged.sort_unstable();
        assert!(acknowledged.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            acknowledged
                .iter()
                .all(|position| stored.binary_search(position).is_ok())
        );
    }
}

/// A small file system in memory, for a table space.
struct SmallDisk(String);

impl SmallDisk {
    /// Mounts it; `None` without the privilege.
    fn mount(dir: String) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", &dir])
            .output();
        mounted
            .is_ok_and(|it| it.status.success())
            .then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", &self.0]).output();
    }
}

#[tokio::test]
async fn full_disk_is_transient() {
    let Some(server) = OwnServer::start(&[]) else {
        return;
    };
    let dir = format!("{}/small", server.dir);
    std::fs::create_dir(&dir).unwrap();
    let Some(disk) = SmallDisk::mount(dir.clone()) else {
        println!("SKIPPED: no privilege to mount a small file system");
        return;
    };
    std::fs::create_dir(format!("{dir}/space")).unwrap();
    let mut admin = address(&server).connect().await.unwrap();
    let owned = Command::new("chown")
        .args(["postgres", &format!("{dir}/space")])
        .output();
    assert!(owned.unwrap().status.success());
    run(
        &mut admin,
        format!("create tablespace small location '{dir}/space'"),
    )
    .await;
    run(
        &mut admin,
        "create database small tablespace small".to_owned(),
    )
    .await;
    let address = address(&server).database("small");
    let store = PostgresOptions::new(address).open().await.unwrap();
    // Random text, which the server cannot compress.
    let large: String = (0..8_000)
        .map(|_| Uuid::now_v7().simple().to_string())
        .collect();
    let mut stored = 0;
    let full = loop {
        match store.append(noted(&large)).await {
            Ok(_) => stored += 1,
            other => break other,
        }
    };
    assert!(is_unavailable(&full), "{full:?}");
    assert!(stored > 2);
    assert_eq!(count(&store).await, stored);
    // Something else is deleted.
    let remount = Command::new("mount")
        .args(["-o", "remount,size=64m", &disk.0])
        .output();
    assert!(remount.unwrap().status.success());
    assert_eq!(append_again(&store).await, stored + 1);
    store.close().await;
}

#[tokio::test]
async fn close_does_not_wait_for_a_lock() {
    let Some((server, mut admin, name)) = start().await else {
        return;
    };
    let store = PostgresOptions::new(server)
        .schema(&name)
        .open()
        .await
        .unwrap();
    run(
        &mut admin,
        format!("begin; select from {name}.head for update"),
    )
    .await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.append(noted("waiting")).await }
    });
    let sql = "select count(*) from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(sql)
        .bind(&name)
        .fetch_one(&mut admin)
        .await
        .unwrap()
        == 0
    {}
    // Neither the append nor this connection ends by itself.
    let used = store.pool().acquire().await.unwrap();
    let started = Instant::now();
    store.close().await;
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let interrupted = waiting.await.unwrap();
    let unknown = matches!(
        interrupted,
        Err(AppendError::Store(StoreError::Interrupted(_)))
    );
    assert!(unknown, "{interrupted:?}");
    let closed = store.append(noted("closed")).await;
    assert!(
        matches!(closed, Err(AppendError::Store(StoreError::Closed))),
        "{closed:?}"
    );
    drop(used);
}

#[tokio::test]
async fn closed_pool_closes_the_store() {
    let Some((server, _admin, name)) = start().await else {
        return;
    };
    let store = PostgresOptions::new(server)
        .schema(&name)
        .open()
        .await
        .unwrap();
    append_again(&store).await;
    let mut head = store.watch();
    head.borrow_and_update();
    store.pool().close().await;
    assert!(head.changed().await.is_err());
    let closed = store.append(noted("closed")).await;
    assert!(
        matches!(closed, Err(AppendError::Store(StoreError::Closed))),
        "{closed:?}"
    );
    store.close().await;
}

#[test]
fn store_of_an_ended_runtime_is_closed() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let store = first.block_on(async {
        let (server, _admin, name) = start().await?;
        Some(
            PostgresOptions::new(server)
                .schema(&name)
                .open()
                .await
                .unwrap(),
        )
    });
    let Some(store) = store else { return };
    drop(first);
    runtime().block_on(async {
        assert!(store.watch().changed().await.is_err());
        let closed = store.append(noted("closed")).await;
        assert!(
            matches!(closed, Err(AppendError::Store(StoreError::Closed))),
            "{closed:?}"
        );
    });
}
