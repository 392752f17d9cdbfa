//! The REST API of the server process.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

use server::{Server, problem};

fn etag(response: &Response) -> String {
    response.headers()[header::ETAG]
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn published_version_is_served_after_an_update() {
    let (_dir, server) = Server::fresh();
    let new = json!({"name": "limits", "content": "limit: 250\n", "description": "Card limits"});
    let created = server
        .request(Method::POST, "/v1/specs")
        .header("x-actor", "ada")
        .json(&new);
    let created = created.send().await.unwrap();
    assert_eq!(
        (created.status(), etag(&created)),
        (StatusCode::CREATED, "\"1\"".to_owned())
    );
    let location = created.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = created.json().await.unwrap();
    let id = body["id"].as_str().unwrap();
    assert_eq!(location, format!("/v1/specs/{id}"));
    assert_eq!(body, json!({"id": id, "version": 1, "state": "draft"}));

    let published = server
        .request(Method::POST, &format!("{location}/publish"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (published.status(), etag(&published)),
        (StatusCode::OK, "\"2\"".to_owned())
    );
    let update = server
        .request(Method::PUT, &location)
        .header("x-actor", "bob");
    let updated = update
        .json(&json!({"content": "limit: 300\n"}))
        .send()
        .await
        .unwrap();
    assert_eq!(etag(&updated), "\"3\"");
    assert_eq!(
        updated.json::<Value>().await.unwrap(),
        json!({"version": 2})
    );

    let mut spec = server.json(&location).await;
    for time in ["created_at", "updated_at"] {
        let time = spec.as_object_mut().unwrap().remove(time).unwrap();
        assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    }
    let expected = json!({
        "id": id, "namespace": "default", "name": "limits", "content": "limit: 250\n", "description": "Card limits",
        "version": 1, "latest_version": 2, "published_version": 1, "state": "published",
        "created_by": "ada", "updated_by": "anonymous",
    });
    assert_eq!(spec, expected);
    assert_eq!(
        server.json(&format!("{location}?version=2")).await["content"],
        "limit: 300\n"
    );
}

#[tokio::test]
async fn older_version_can_be_published_again() {
    let (_dir, server) = Server::fresh();
    let location = format!("/v1/specs/{}", server.create("limits", "limit: 1\n").await);
    let put = server
        .request(Method::PUT, &location)
        .json(&json!({"content": "limit: 2\n"}));
    put.send().await.unwrap();
    let newer = server
        .post(&format!("{location}/publish"), &json!({"version": 2}))
        .await;
    assert_eq!(newer.json::<Value>().await.unwrap()["published_version"], 2);
    let older = server
        .post(&format!("{location}/publish"), &json!({"version": 1}))
        .await;
    assert_eq!(
        older.json::<Value>().await.unwrap()["published_version"],
        1,
        "an older version can be published"
    );
}

#[tokio::test]
async fn deleted_spec_is_gone_except_for_its_versions() {
    let (_dir, server) = Server::fresh();
    let id = server.create("limits", "limit: 250\n").await;
    let path = format!("/v1/specs/{id}");
    server.post(&format!("{path}/publish"), &json!({})).await;
    let deprecated = server
        .post(&format!("{path}/deprecate"), &json!({"reason": "see v3"}))
        .await;
    assert_eq!(
        deprecated.json::<Value>().await.unwrap()["state"],
        "deprecated"
    );
    let delete = server
        .request(Method::DELETE, &format!("{path}?reason=gone"))
        .header("x-actor", "eve");
    assert_eq!(
        delete.send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );

    let deleted = problem(server.get(&path).await, StatusCode::GONE).await;
    assert_eq!(deleted["deleted_by"], "eve");
    assert!(deleted["deleted_at"].as_str().unwrap().ends_with('Z'));
    let put = server
        .request(Method::PUT, &path)
        .json(&json!({"content": "a: 1\n"}));
    assert_eq!(
        problem(put.send().await.unwrap(), StatusCode::GONE).await["deleted_by"],
        "eve"
    );
    assert_eq!(
        server.json(&format!("{path}/versions/1")).await["content"],
        "limit: 250\n"
    );

    // The name is free again.
    assert_ne!(server.create("limits", "limit: 1\n").await, id);
}

#[tokio::test]
async fn history_has_actor_event_type_and_reason() {
    let (_dir, server) = Server::fresh();
    let path = format!(
        "/v1/specs/{}",
        server.create("limits", "limit: 250\n").await
    );
    server.post(&format!("{path}/publish"), &json!({})).await;
    server
        .post(&format!("{path}/deprecate"), &json!({"reason": "see v3"}))
        .await;
    let delete = server.request(Method::DELETE, &format!("{path}?reason=gone"));
    delete.header("x-actor", "eve").send().await.unwrap();
    let history = server.json(&format!("{path}/history")).await;
    let events: Vec<_> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let text = |field: &str| event[field].as_str().map(str::to_owned);
            (
                text("event_type").unwrap(),
                text("actor").unwrap(),
                text("reason"),
            )
        })
        .collect();
    let event = |kind: &str, reason: Option<&str>| {
        let actor = if kind == "spec.deleted" {
            "eve"
        } else {
            "anonymous"
        };
        (kind.to_owned(), actor.to_owned(), reason.map(str::to_owned))
    };
    let expected = [
        event("spec.created", None),
        event("spec.published", None),
        event("spec.deprecated", Some("see v3")),
        event("spec.deleted", Some("gone")),
    ];
    assert_eq!(events, expected);
    assert_eq!(history["events"][2]["payload"], json!({"reason": "see v3"}));
}

#[tokio::test]
async fn every_change_has_a_reason() {
    let (_dir, server) = Server::fresh();
    let new = json!({"name": "limits", "content": "a: 1\n", "reason": " first "});
    let created: Value = server.post("/v1/specs", &new).await.json().await.unwrap();
    let path = format!("/v1/specs/{}", created["id"].as_str().unwrap());
    let yaml = ("content-type", "application/yaml");
    let put = async |query: &str, (name, value): (&str, &str), body: &str| {
        let put = server.request(Method::PUT, &format!("{path}{query}"));
        let put = put.header(name, value).body(body.to_owned());
        assert_eq!(put.send().await.unwrap().status(), StatusCode::OK, "{body}");
    };
    put("?reason=as%20yaml&description=d", yaml, "a: 2\n").await;
    let json_type = ("content-type", "application/json");
    put("", json_type, r#"{"content": "a: 3", "reason": "as json"}"#).await;
    let publish = json!({"version": 2, "reason": "approved"});
    server.post(&format!("{path}/publish"), &publish).await;
    server
        .post(&format!("{path}/deprecate"), &json!({"reason": "old"}))
        .await;
    let delete = server
        .request(Method::DELETE, &path)
        .json(&json!({"reason": "legal"}));
    assert_eq!(
        delete.send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    let history = server.json(&format!("{path}/history")).await;
    let events = history["events"].as_array().unwrap().iter();
    let reasons: Vec<_> = events
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        ["first", "as yaml", "as json", "approved", "old", "legal"]
    );
    let long = json!({"name": "n", "content": "a: 1\n", "reason": "x".repeat(2_001)});
    let long = problem(
        server.post("/v1/specs", &long).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert_eq!(long["errors"][0]["pointer"], "/reason");
}

#[tokio::test]
async fn yaml_is_returned_byte_for_byte() {
    let (_dir, server) = Server::fresh();
    let content = "# a comment\r\nkey:   \"\u{e9}\\t\u{1F980}\"  # spaces stay\r\n\n\n";
    let created = server
        .request(Method::POST, "/v1/specs?name=bytes&description=raw")
        .header(header::CONTENT_TYPE, "application/yaml")
        .body(content)
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    let location = created.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    let accept = |path: &str, accept: &str| {
        server
            .request(Method::GET, path)
            .header(header::ACCEPT, accept)
            .send()
    };
    for path in [location.clone(), format!("{location}/versions/1")] {
        let yaml = accept(&path, "application/yaml").await.unwrap();
        assert_eq!(yaml.headers()[header::CONTENT_TYPE], "application/yaml");
        assert_eq!(yaml.bytes().await.unwrap(), content.as_bytes());
        for json in [
            "*/*",
            "application/json",
            "application/yaml;q=0.1, application/json",
        ] {
            let json = accept(&path, json).await.unwrap();
            assert_eq!(json.json::<Value>().await.unwrap()["content"], content);
        }
    }
    let replaced = server
        .request(Method::PUT, &location)
        .header(header::CONTENT_TYPE, "text/yaml; charset=utf-8")
        .header(header::IF_MATCH, "\"1-yaml\"")
        .body("other: 1\n")
        .send()
        .await
        .unwrap();
    assert_eq!(replaced.status(), StatusCode::OK);
    assert_eq!(server.json(&location).await["description"], "raw");
    let versions = server.json(&format!("{location}/versions")).await;
    assert_eq!(versions["versions"][1]["content"], "other: 1\n");
}

#[tokio::test]
async fn repeated_request_returns_the_first_result() {
    let (_dir, server) = Server::fresh();
    let post = |actor: &'static str, name: &'static str| {
        let post = server
            .request(Method::POST, "/v1/specs")
            .header("idempotency-key", "req-7");
        post.header("x-actor", actor)
            .json(&json!({"name": name, "content": "a: 1\n"}))
            .send()
    };
    let first: Value = post("ada", "once").await.unwrap().json().await.unwrap();
    let again = post("ada", "once").await.unwrap();
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    let reused = problem(
        post("ada", "other").await.unwrap(),
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert_eq!(reused["code"], "idempotency_key_reused");
    // Keys are scoped to the actor.
    assert_eq!(
        post("bob", "other").await.unwrap().status(),
        StatusCode::CREATED
    );
    assert_eq!(server.json("/v1/specs").await["total"], 2);
}

#[tokio::test]
async fn list_is_paged_and_filtered() {
    let (_dir, server) = Server::fresh();
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(server.create(&format!("spec-{number}"), "a: 1\n").await);
    }
    for id in &ids[..3] {
        server
            .post(&format!("/v1/specs/{id}/publish"), &json!({}))
            .await;
    }
    server
        .request(Method::DELETE, &format!("/v1/specs/{}", ids[6]))
        .send()
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server
            .json(&format!("/v1/specs?limit=4&cursor={cursor}"))
            .await;
        assert_eq!(page["total"], 6);
        let specs = page["specs"].as_array().unwrap();
        seen.extend(
            specs
                .iter()
                .map(|spec| spec["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ids[..6]);
    for (state, total) in [
        ("draft", 3),
        ("published", 3),
        ("deprecated", 0),
        ("deleted", 1),
    ] {
        let page = server.json(&format!("/v1/specs?state={state}")).await;
        assert_eq!(page["total"], total, "{state}");
        let specs = page["specs"].as_array().unwrap();
        assert_eq!(specs.len(), total, "{state}");
        assert!(specs.iter().all(|spec| spec["state"] == state));
    }
}

#[tokio::test]
async fn correlation_id_is_returned_and_recorded() {
    let (_dir, server) = Server::fresh();
    let id = "018f5a4e-3f4c-7c3e-8f0a-1b2c3d4e5f60";
    let created = server
        .request(Method::POST, "/v1/specs")
        .header("x-correlation-id", id)
        .json(&json!({"name": "n", "content": "a: 1\n"}))
        .send()
        .await
        .unwrap();
    assert_eq!(created.headers()["x-correlation-id"], id);
    let created: Value = created.json().await.unwrap();
    let history = server
        .json(&format!(
            "/v1/specs/{}/history",
            created["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(history["events"][0]["correlation_id"], id);
}
