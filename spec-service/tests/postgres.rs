//! Two instances of the service on one PostgreSQL database.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "support/server.rs"]
mod server;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use server::Server;

/// A database server of its own, which ends with the test; `None` if there is none, and none is required.
fn database() -> Option<(Child, String)> {
    let script = "../adapters/postgres/tests/throwaway-server.sh";
    let script = Command::new("sh")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut script = script.unwrap();
    let mut dir = String::new();
    BufReader::new(script.stdout.take().unwrap())
        .read_line(&mut dir)
        .unwrap();
    if dir.is_empty() {
        script.wait().unwrap();
        let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "no PostgreSQL server, and FACTUM_REQUIRE_SERVICES=1"
        );
        std::io::stderr()
            .write_all(b"SKIPPED: no PostgreSQL server\n")
            .unwrap();
        return None;
    }
    Some((
        script,
        format!("postgres://postgres@localhost/postgres?host={}", dir.trim()),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_on_one_database_keep_every_promise() {
    let Some((_database, url)) = database() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", url.as_str())];
    let servers = [(); 2].map(|()| Server::start_with(dir.path(), &settings));

    // Names are unique over both.
    let body = json!({"name": "wanted", "content": "a: 1\n"});
    let posts = (0..50).map(|number| servers[number % 2].post("/v1/specs", &body));
    let answers = join_all(posts).await;
    let of = |status| {
        answers
            .iter()
            .filter(|answer| answer.status() == status)
            .count()
    };
    assert_eq!((of(StatusCode::CREATED), of(StatusCode::CONFLICT)), (1, 49));

    // What one wrote the other reads at once, and lists itself.
    let id = servers[0].create("shared", "a: 0\n").await;
    let path = format!("/v1/specs/{id}");
    assert_eq!(servers[1].json(&path).await["name"], "shared");
    assert_eq!(servers[0].json("/v1/specs").await["total"], 2);
    let puts = (0..50).map(|number| {
        let put = servers[number % 2]
            .request(Method::PUT, &path)
            .header(header::IF_MATCH, "\"1\"");
        put.json(&json!({"content": format!("a: {number}\n")}))
            .send()
    });
    let answers = join_all(puts).await;
    let of = |status| {
        answers
            .iter()
            .filter(|answer| answer.as_ref().unwrap().status() == status)
            .count()
    };
    assert_eq!(
        (of(StatusCode::OK), of(StatusCode::PRECONDITION_FAILED)),
        (1, 49)
    );

    for server in servers {
        server.terminate();
        assert!(server.wait().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_alternates_reads_what_it_wrote() {
    let Some((_database, url)) = database() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", url.as_str())];
    let servers = [(); 2].map(|()| Server::start_with(dir.path(), &settings));
    for round in 1..=30_usize {
        let (here, there) = (&servers[round % 2], &servers[(round + 1) % 2]);
        let body = json!({"name": format!("spec.{round}"), "content": "a: 1\n"});
        let created = here.post("/v1/specs", &body).await;
        let position = created.headers()["x-position"].clone();
        assert_eq!(position, round.to_string());
        let list = there.request(Method::GET, "/v1/specs?limit=1");
        let list = list.header("x-position", position).send().await.unwrap();
        assert_eq!(list.json::<Value>().await.unwrap()["total"], round);
    }
    let list = |position| {
        let list = servers[0].request(Method::GET, "/v1/specs");
        list.header("x-position", position).send()
    };
    assert_eq!(list("-1").await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_warm_state_here_does_not_hide_what_happened_there() {
    let Some((_database, url)) = database() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", url.as_str())];
    let servers = [(); 2].map(|()| Server::start_with(dir.path(), &settings));
    let path = format!("/v1/specs/{}", servers[0].create("shared", "a: 0\n").await);
    for round in 0..10_u64 {
        let put = servers[(round % 2) as usize].request(Method::PUT, &path);
        let put = put
            .json(&json!({"content": format!("b: {round}\n")}))
            .send()
            .await
            .unwrap();
        assert_eq!(
            put.json::<Value>().await.unwrap(),
            json!({"version": 2 + round})
        );
    }
    let history = servers[1].json(&format!("{path}/history")).await;
    assert_eq!(history["events"].as_array().unwrap().len(), 11);
}
