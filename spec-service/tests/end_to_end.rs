//! Both APIs together: samples, concurrent requests, crashes and restarts.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use factum_sqlite::rusqlite;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use spec_service::grpc::generated::{
    CreateSpecRequest, DeprecateSpecRequest, GetSpecRequest, PublishSpecRequest, SpecState,
};

use server::Server;

fn samples() -> Vec<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut samples: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    samples.sort();
    samples
}

#[tokio::test]
async fn samples_complete_their_lifecycle_over_both_apis() {
    let (_dir, server) = Server::fresh();
    let samples = samples();
    assert!(samples.len() >= 12);
    for (name, content) in &samples {
        from_rest_to_grpc(&server, name, content).await;
        from_grpc_to_rest(&server, &format!("{name}.twin"), content).await;
    }
    let listed = server.json("/v1/specs?state=published").await;
    assert_eq!(listed["total"], samples.len());
}

async fn from_rest_to_grpc(server: &Server, name: &str, content: &str) {
    let mut client = server.grpc().await;
    let id = server.create(name, content).await;
    let publish = PublishSpecRequest {
        id: id.clone(),
        version: None,
        expected_revision: Some(1),
        reason: None,
    };
    client.publish_spec(publish).await.unwrap();
    let yaml = server.request(Method::GET, &format!("/v1/specs/{id}"));
    let yaml = yaml
        .header(header::ACCEPT, "application/yaml")
        .send()
        .await
        .unwrap();
    assert_eq!(yaml.bytes().await.unwrap(), content.as_bytes(), "{name}");
    let spec = client
        .get_spec(GetSpecRequest {
            id,
            ..GetSpecRequest::default()
        })
        .await
        .unwrap()
        .into_inner();
    let actual = (spec.state(), spec.content.as_str(), spec.revision);
    assert_eq!(actual, (SpecState::Published, content, 2), "{name}");
}

async fn from_grpc_to_rest(server: &Server, name: &str, content: &str) {
    let mut client = server.grpc().await;
    let new = CreateSpecRequest {
        namespace: String::new(),
        name: name.to_owned(),
        content: content.to_owned(),
        description: None,
        reason: None,
    };
    let id = client.create_spec(new).await.unwrap().into_inner().id;
    let path = format!("/v1/specs/{id}");
    assert_eq!(server.json(&path).await["content"], content);
    let published = server.post(&format!("{path}/publish"), &json!({})).await;
    assert_eq!(published.status(), StatusCode::OK);
    let update = server
        .request(Method::PUT, &path)
        .header(header::IF_MATCH, "\"2\"");
    let update = update.json(&json!({"content": format!("{content}# revised\n")}));
    let updated: Value = update.send().await.unwrap().json().await.unwrap();
    assert_eq!(updated, json!({"version": 2}), "{name}");
    let deprecate = DeprecateSpecRequest {
        id,
        reason: "replaced".to_owned(),
        expected_revision: Some(3),
    };
    assert_eq!(
        client
            .deprecate_spec(deprecate)
            .await
            .unwrap()
            .into_inner()
            .revision,
        4
    );
    let deleted = server.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(server.get(&path).await.status(), StatusCode::GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_with_one_etag_store_one() {
    let (_dir, server) = Server::fresh();
    let id = server.create("contended", "a: 0\n").await;
    let puts = (0..50).map(|number| {
        let put = server.request(Method::PUT, &format!("/v1/specs/{id}"));
        put.header(header::IF_MATCH, "\"1\"")
            .json(&json!({"content": format!("a: {number}\n")}))
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
    assert_eq!(
        server.json(&format!("/v1/specs/{id}")).await["latest_version"],
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creations_of_one_name_store_one() {
    let (_dir, server) = Server::fresh();
    let body = json!({"name": "wanted", "content": "a: 1\n"});
    let posts = (0..50).map(|_| server.post("/v1/specs", &body));
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
    assert_eq!(server.json("/v1/specs").await["total"], 1);
}

/// Creates specifications over both APIs until the server is killed.
///
/// Returns the ids and names of the acknowledged specifications.
async fn write_until_killed(
    server: &Server,
    round: usize,
    kill_after: usize,
) -> Vec<(String, String)> {
    let acknowledged = Arc::new(tokio::sync::Mutex::new(Vec::new()));
    let client = server.grpc().await;
    let writers = (0..8).map(|writer| {
        let (acknowledged, mut client) = (acknowledged.clone(), client.clone());
        async move {
            for number in 0.. {
                let name = format!("r{round}.w{writer}.n{number}");
                let id = if writer % 2 == 0 {
                    let body = json!({"name": name, "content": "a: 1\n"});
                    let post = server
                        .request(Method::POST, "/v1/specs")
                        .json(&body)
                        .send()
                        .await;
                    let Ok(created) = post else { return };
                    assert_eq!(created.status(), StatusCode::CREATED);
                    let Ok(created) = created.json::<Value>().await else {
                        return;
                    };
                    created["id"].as_str().unwrap().to_owned()
                } else {
                    let content = "a: 1\n".to_owned();
                    let new = CreateSpecRequest {
                        namespace: String::new(),
                        name: name.clone(),
                        content,
                        description: None,
                        reason: None,
                    };
                    let Ok(created) = client.create_spec(new).await else {
                        return;
                    };
                    created.into_inner().id
                };
                let mut acknowledged = acknowledged.lock().await;
                acknowledged.push((id, name));
                if acknowledged.len() == kill_after {
                    server.kill();
                }
            }
        }
    });
    join_all(writers).await;
    Arc::try_unwrap(acknowledged).unwrap().into_inner()
}

/// Returns the id and name of each listed specification, over all pages.
async fn list_all(server: &Server) -> Vec<(String, String)> {
    let mut specs = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server
            .json(&format!("/v1/specs?limit=100&cursor={cursor}"))
            .await;
        for spec in page["specs"].as_array().unwrap() {
            specs.push((
                spec["id"].as_str().unwrap().to_owned(),
                spec["name"].as_str().unwrap().to_owned(),
            ));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return specs,
        }
    }
}

/// Waits until the list has processed all stored events.
async fn wait_until_caught_up(server: &Server) {
    loop {
        let health: Value = server.get("/health").await.json().await.unwrap();
        let list = &health["projections"][0];
        if list["lag"] == 0 && list["state"] == "live" {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_keeps_all_acknowledged_writes() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for (round, kill_after) in [5, 40, 120].into_iter().enumerate() {
        let server = Server::start(dir.path());
        acknowledged.extend(write_until_killed(&server, round, kill_after).await);
        drop(server);
        let server = Server::start(dir.path());
        wait_until_caught_up(&server).await;
        let listed = list_all(&server).await;
        for spec in &acknowledged {
            assert!(
                listed.contains(spec),
                "round {round}: {} is not listed",
                spec.1
            );
            let found = server.json(&format!("/v1/specs/{}", spec.0)).await;
            assert_eq!(found["name"], spec.1);
        }
        // The restarted server accepts writes and lists them.
        let id = server.create(&format!("after-{round}"), "a: 1\n").await;
        acknowledged.push((id, format!("after-{round}")));
        assert_eq!(list_all(&server).await.len(), listed.len() + 1);
    }
}

#[tokio::test]
async fn rebuilt_list_equals_the_dropped_list() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    for (name, content) in samples() {
        let id = server.create(&name, &content).await;
        server
            .post(&format!("/v1/specs/{id}/publish"), &json!({}))
            .await;
    }
    let before = server.json("/v1/specs?limit=100").await;
    server.terminate();
    assert!(server.wait().await.success());

    let file = rusqlite::Connection::open(dir.path().join("specs.db")).unwrap();
    for sql in [
        "drop view spec_list; drop table spec_list__1",
        "drop view spec_list_total; drop table spec_list_total__1",
        "drop view spec_list_description; drop table spec_list_description__1",
        "delete from factum_document",
    ] {
        file.execute_batch(sql).unwrap();
    }
    drop(file);

    let server = Server::start(dir.path());
    wait_until_caught_up(&server).await;
    assert_eq!(server.json("/v1/specs?limit=100").await, before);
}

#[tokio::test]
async fn stopping_server_drains_and_finishes_requests() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), &[("DRAIN", "4"), ("GRACE", "30")]);
    while server.get("/readyz").await.status() != StatusCode::OK {
        tokio::task::yield_now().await;
    }
    // Send a request with only the first part of its body.
    let body = r#"{"name": "slow", "content": "a: 1\n"}"#;
    let (first, second) = body.split_at(10);
    let address = server.rest.strip_prefix("http://").unwrap();
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/specs HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{first}",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();

    server.terminate();
    while server.get("/readyz").await.status() == StatusCode::OK {
        tokio::task::yield_now().await;
    }
    let health = server.get("/health").await;
    let health = server::problem(health, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(
        (&health["code"], &health["store"]["writable"]),
        (&json!("not_ready"), &json!(true))
    );
    assert_eq!(server.get("/livez").await.status(), StatusCode::OK);
    assert_eq!(server.json("/v1/specs").await["total"], 0);
    // After the server stops accepting connections, the pending request still gets a response.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    slow.write_all(second.as_bytes()).await.unwrap();
    let mut response = String::new();
    slow.read_to_string(&mut response).await.unwrap();
    assert!(
        response.starts_with("HTTP/1.1 201 Created\r\n"),
        "{response}"
    );
    assert!(server.wait().await.success());

    let server = Server::start(dir.path());
    wait_until_caught_up(&server).await;
    assert_eq!(server.json("/v1/specs").await["specs"][0]["name"], "slow");
}
