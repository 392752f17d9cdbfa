//! Two nodes of the service on one PostgreSQL database.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

#[allow(dead_code, reason = "shared by several tests")]
#[path = "../../tests/src/own_server.rs"]
mod own_server;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use own_server::OwnServer;
use server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_names_and_revisions() {
    let Some(database) = OwnServer::start(&[]) else {
        return;
    };
    let url = database.url();
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", url.as_str())];
    let servers = [(); 2].map(|()| Server::start_with(dir.path(), &settings));

    // Names are unique across nodes.
    let body = json!({"name": "wanted", "content": "a: 1\n"});
    let posts = (0..50).map(|number| servers[number % 2].post("/v1/specs", &body));
    let responses = join_all(posts).await;
    let count = |status| {
        responses
            .iter()
            .filter(|response| response.status() == status)
            .count()
    };
    assert_eq!(
        (count(StatusCode::CREATED), count(StatusCode::CONFLICT)),
        (1, 49)
    );

    // A write on one node can be read on the other node, and is listed on its own node.
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
    let responses = join_all(puts).await;
    let count = |status| {
        responses
            .iter()
            .filter(|response| response.as_ref().unwrap().status() == status)
            .count()
    };
    assert_eq!(
        (
            count(StatusCode::OK),
            count(StatusCode::PRECONDITION_FAILED)
        ),
        (1, 49)
    );

    for server in servers {
        server.terminate();
        assert!(server.wait().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_reads_its_writes_on_the_other_node() {
    let Some(database) = OwnServer::start(&[]) else {
        return;
    };
    let url = database.url();
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
async fn cached_state_does_not_hide_writes_of_another_node() {
    let Some(database) = OwnServer::start(&[]) else {
        return;
    };
    let url = database.url();
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
