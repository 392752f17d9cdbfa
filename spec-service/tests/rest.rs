//! The REST API, on the real server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "support/server.rs"]
mod server;

use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

use server::Server;

fn start() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    (dir, server)
}

/// The body of an error, with what every problem has checked.
async fn problem(response: Response, status: StatusCode) -> Value {
    assert_eq!(response.status(), status);
    let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
    assert_eq!(content_type, "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status.as_u16());
    let code = problem["code"].as_str().unwrap();
    assert_eq!(problem["type"], format!("urn:spec-service:problem:{code}"));
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    problem
}

fn etag(response: &Response) -> String {
    response.headers()[header::ETAG]
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_specification_lives_its_whole_life() {
    let (_dir, server) = start();
    let created = server
        .request(Method::POST, "/v1/specs")
        .header("x-actor", "ada")
        .json(&json!({"name": "limits", "content": "limit: 250\n", "description": "Card limits"}))
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(etag(&created), "\"1\"");
    let location = created.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = created.json().await.unwrap();
    assert_eq!(
        (&body["version"], &body["state"]),
        (&json!(1), &json!("draft"))
    );
    assert_eq!(
        location,
        format!("/v1/specs/{}", body["id"].as_str().unwrap())
    );

    let published = server
        .request(Method::POST, &format!("{location}/publish"))
        .send()
        .await
        .unwrap();
    assert_eq!(published.status(), StatusCode::OK);
    let updated = server
        .request(Method::PUT, &location)
        .header("x-actor", "bob")
        .json(&json!({"content": "limit: 300\n"}))
        .send()
        .await
        .unwrap();
    assert_eq!(etag(&updated), "\"3\"");
    assert_eq!(
        updated.json::<Value>().await.unwrap(),
        json!({"version": 2})
    );

    // What is published stays so meanwhile.
    let spec = server.json(&location).await;
    for (field, expected) in [
        ("name", json!("limits")),
        ("content", json!("limit: 250\n")),
        ("description", json!("Card limits")),
        ("version", json!(1)),
        ("latest_version", json!(2)),
        ("published_version", json!(1)),
        ("state", json!("published")),
        ("created_by", json!("ada")),
        ("updated_by", json!("bob")),
    ] {
        assert_eq!(spec[field], expected, "{field}");
    }
    assert_eq!(
        server.json(&format!("{location}?version=2")).await["content"],
        "limit: 300\n"
    );

    let again = server
        .post(&format!("{location}/publish"), &json!({"version": 2}))
        .await;
    assert_eq!(again.json::<Value>().await.unwrap()["published_version"], 2);
    let back = server
        .post(&format!("{location}/publish"), &json!({"version": 1}))
        .await;
    assert_eq!(back.status(), StatusCode::OK, "a rollback is allowed");
    let deprecated = server
        .post(
            &format!("{location}/deprecate"),
            &json!({"reason": "see v3"}),
        )
        .await;
    assert_eq!(
        deprecated.json::<Value>().await.unwrap()["state"],
        "deprecated"
    );

    let refused = server
        .request(Method::PUT, &location)
        .json(&json!({"content": "x: 1\n"}));
    let problem_body = problem(refused.send().await.unwrap(), StatusCode::CONFLICT).await;
    assert_eq!(problem_body["state"], "deprecated");
    assert_eq!(problem_body["action"], "update");
    assert_eq!(problem_body["allowed"], json!(["delete"]));

    let deleted = server
        .request(Method::DELETE, &format!("{location}?reason=gone"))
        .header("x-actor", "eve")
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let gone = problem(server.get(&location).await, StatusCode::GONE).await;
    assert_eq!(gone["deleted_by"], "eve");
    assert!(gone["deleted_at"].as_str().unwrap().ends_with('Z'));

    let history = server.json(&format!("{location}/history")).await;
    let told: Vec<_> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["event_type"].as_str().unwrap(),
                event["actor"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("spec.created", "ada"),
        ("spec.published", "anonymous"),
        ("spec.updated", "bob"),
        ("spec.published", "anonymous"),
        ("spec.published", "anonymous"),
        ("spec.deprecated", "anonymous"),
        ("spec.deleted", "eve"),
    ];
    assert_eq!(told, expected);
    assert_eq!(history["events"][6]["reason"], "gone");
    assert_eq!(history["events"][5]["payload"], json!({"reason": "see v3"}));

    // The name is free again.
    assert_ne!(
        format!("/v1/specs/{}", server.create("limits", "limit: 1\n").await),
        location
    );
}

#[tokio::test]
async fn yaml_comes_back_byte_for_byte() {
    let (_dir, server) = start();
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
async fn a_write_that_does_not_match_changes_nothing() {
    let (_dir, server) = start();
    let id = server.create("etags", "a: 1\n").await;
    let put = |tag: &str| {
        let put = server.request(Method::PUT, &format!("/v1/specs/{id}"));
        put.header(header::IF_MATCH, tag)
            .json(&json!({"content": "a: 2\n"}))
            .send()
    };
    for tag in ["\"2\"", "\"0\"", "W/\"1\"", "\"other\"", "\"7\", \"8\""] {
        let mismatch = problem(put(tag).await.unwrap(), StatusCode::PRECONDITION_FAILED).await;
        assert_eq!(
            (&mismatch["code"], &mismatch["actual"]),
            (&json!("revision_mismatch"), &json!(1)),
            "{tag}"
        );
    }
    assert_eq!(
        problem(put("1").await.unwrap(), StatusCode::BAD_REQUEST).await["code"],
        "malformed"
    );
    for (tag, after) in [
        ("\"1\"", "\"2\""),
        ("*", "\"3\""),
        ("\"9\", \"3\"", "\"4\""),
    ] {
        let updated = put(tag).await.unwrap();
        assert_eq!(
            (updated.status(), etag(&updated)),
            (StatusCode::OK, after.to_owned()),
            "{tag}"
        );
    }
    for action in ["publish", "deprecate"] {
        let post = server.request(Method::POST, &format!("/v1/specs/{id}/{action}"));
        let post = post.header(header::IF_MATCH, "\"1\"").json(&match action {
            "publish" => json!({}),
            _ => json!({"reason": "old"}),
        });
        problem(post.send().await.unwrap(), StatusCode::PRECONDITION_FAILED).await;
    }
    let delete = server.request(Method::DELETE, &format!("/v1/specs/{id}"));
    let delete = delete
        .header(header::IF_MATCH, "\"1\"")
        .send()
        .await
        .unwrap();
    problem(delete, StatusCode::PRECONDITION_FAILED).await;

    let unchanged = server.request(Method::GET, &format!("/v1/specs/{id}"));
    let unchanged = unchanged
        .header(header::IF_NONE_MATCH, "W/\"4\"")
        .send()
        .await
        .unwrap();
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);

    // What is not there is not there, whatever is expected of it.
    server
        .request(Method::DELETE, &format!("/v1/specs/{id}"))
        .send()
        .await
        .unwrap();
    problem(put("\"1\"").await.unwrap(), StatusCode::GONE).await;
}

#[tokio::test]
async fn what_is_refused_says_where_and_why() {
    let (_dir, server) = start();
    let id = server.create("taken", "a: 1\n").await;
    let shared = &server;
    let post = |body: Value| async move { shared.post("/v1/specs", &body).await };
    let new = |name: &str, content: &str| json!({"name": name, "content": content});
    let long = "x".repeat(2_001);
    for (body, code, pointer) in [
        (new("no spaces", "a: 1\n"), "invalid_name", "/name"),
        (new("", "a: 1\n"), "invalid_name", "/name"),
        (
            new("dup", "a: 1\nb: 2\na: 3\n"),
            "yaml_duplicate_key",
            "/content",
        ),
        (
            new("two", "a: 1\n---\nb: 2\n"),
            "yaml_several_documents",
            "/content",
        ),
        (json!({"name": "n"}), "field_missing", "/content"),
        (json!({"content": "a: 1\n"}), "field_missing", "/name"),
        (
            json!({"name": 7, "content": "a: 1\n"}),
            "invalid_field",
            "/name",
        ),
        (
            json!({"name": "n", "content": "a: 1\n", "description": long}),
            "too_long",
            "/description",
        ),
    ] {
        let problem = problem(post(body.clone()).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(
            (&problem["code"], &problem["errors"][0]["pointer"]),
            (&json!(code), &json!(pointer)),
            "{body}"
        );
    }
    let duplicate = problem(
        post(new("dup", "a: 1\nb: 2\na: 3\n")).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert_eq!(
        (&duplicate["line"], &duplicate["column"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(duplicate["errors"][0]["line"], 3);
    let taken = problem(post(new("taken", "a: 1\n")).await, StatusCode::CONFLICT).await;
    assert_eq!(
        (&taken["code"], &taken["name"]),
        (&json!("name_taken"), &json!("taken"))
    );
    let large = new("large", &format!("a: {}\n", "x".repeat(2048)));
    assert_eq!(
        problem(post(large).await, StatusCode::PAYLOAD_TOO_LARGE).await["errors"][0]["pointer"],
        "/content"
    );
    let reason = server
        .post(&format!("/v1/specs/{id}/deprecate"), &json!({}))
        .await;
    assert_eq!(
        problem(reason, StatusCode::UNPROCESSABLE_ENTITY).await["errors"][0]["pointer"],
        "/reason"
    );
    let draft = server
        .post(
            &format!("/v1/specs/{id}/deprecate"),
            &json!({"reason": "r"}),
        )
        .await;
    let draft = problem(draft, StatusCode::CONFLICT).await;
    assert_eq!(
        (&draft["state"], &draft["allowed"]),
        (&json!("draft"), &json!(["update", "publish", "delete"]))
    );
    let version = server
        .post(&format!("/v1/specs/{id}/publish"), &json!({"version": 9}))
        .await;
    assert_eq!(
        problem(version, StatusCode::NOT_FOUND).await["latest_version"],
        1
    );
    server
        .post(&format!("/v1/specs/{id}/publish"), &json!({}))
        .await;
    let twice = server
        .post(&format!("/v1/specs/{id}/publish"), &json!({"version": 1}))
        .await;
    assert_eq!(
        problem(twice, StatusCode::CONFLICT).await["code"],
        "already_published"
    );
    assert_eq!(server.json("/v1/specs").await["total"], 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem_too() {
    let (_dir, server) = start();
    let id = server.create("here", "a: 1\n").await;
    let send = |method: Method, path: String, content_type: &'static str, body: Vec<u8>| {
        let request = server.request(method, &path);
        request
            .header(header::CONTENT_TYPE, content_type)
            .body(body)
            .send()
    };
    let none = uuid::Uuid::now_v7();
    for (method, path, content_type, body, status) in [
        (
            Method::POST,
            "/v1/specs".to_owned(),
            "application/json",
            b"{\"name\":".to_vec(),
            400,
        ),
        (
            Method::POST,
            "/v1/specs".to_owned(),
            "application/json",
            b"{} trailing".to_vec(),
            400,
        ),
        (
            Method::POST,
            "/v1/specs".to_owned(),
            "application/json",
            b"[]".to_vec(),
            422,
        ),
        (
            Method::POST,
            "/v1/specs".to_owned(),
            "application/json",
            vec![0xff, 0xfe],
            400,
        ),
        (
            Method::POST,
            "/v1/specs".to_owned(),
            "application/json",
            Vec::new(),
            400,
        ),
        (
            Method::POST,
            "/v1/specs".to_owned(),
            "text/plain",
            b"a: 1".to_vec(),
            415,
        ),
        (
            Method::POST,
            "/v1/specs".to_owned(),
            "application/yaml",
            b"a: 1".to_vec(),
            400,
        ),
        (
            Method::POST,
            "/v1/specs?name=n".to_owned(),
            "application/yaml",
            vec![b'a', b':', b' ', 0xff],
            422,
        ),
        (
            Method::POST,
            "/v1/specs".to_owned(),
            "application/json",
            vec![b' '; 1 << 20],
            413,
        ),
        (
            Method::PUT,
            format!("/v1/specs/{id}"),
            "text/plain",
            b"a: 1".to_vec(),
            415,
        ),
        (
            Method::PUT,
            "/v1/specs/7".to_owned(),
            "application/json",
            b"{}".to_vec(),
            400,
        ),
        (
            Method::PUT,
            format!("/v1/specs/{none}"),
            "application/yaml",
            b"a: 1\n".to_vec(),
            404,
        ),
        (
            Method::PATCH,
            format!("/v1/specs/{id}"),
            "application/json",
            b"{}".to_vec(),
            405,
        ),
        (
            Method::GET,
            format!("/v1/specs/{none}"),
            "text/plain",
            Vec::new(),
            404,
        ),
        (
            Method::GET,
            format!("/v1/specs/{none}/history"),
            "text/plain",
            Vec::new(),
            404,
        ),
        (
            Method::GET,
            format!("/v1/specs/{id}/versions/2"),
            "text/plain",
            Vec::new(),
            404,
        ),
        (
            Method::GET,
            format!("/v1/specs/{id}/versions/x"),
            "text/plain",
            Vec::new(),
            400,
        ),
        (
            Method::GET,
            "/v1/specs/%ff".to_owned(),
            "text/plain",
            Vec::new(),
            400,
        ),
        (
            Method::GET,
            "/v1/specs?limit=0".to_owned(),
            "text/plain",
            Vec::new(),
            400,
        ),
        (
            Method::GET,
            "/v1/specs?limit=many".to_owned(),
            "text/plain",
            Vec::new(),
            400,
        ),
        (
            Method::GET,
            "/v1/specs?state=lost".to_owned(),
            "text/plain",
            Vec::new(),
            400,
        ),
        (
            Method::GET,
            "/v1/specs?cursor=zzz".to_owned(),
            "text/plain",
            Vec::new(),
            400,
        ),
        (
            Method::GET,
            "/v1/specs?sort=name".to_owned(),
            "text/plain",
            Vec::new(),
            400,
        ),
        (
            Method::GET,
            "/nowhere".to_owned(),
            "text/plain",
            Vec::new(),
            404,
        ),
    ] {
        let told = format!("{method} {path} {content_type}");
        let response = send(method, path, content_type, body).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{told}");
        let status = response.status();
        problem(response, status).await;
    }
    let correlation = server
        .request(Method::POST, "/v1/specs")
        .header("x-correlation-id", "seven");
    problem(correlation.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn a_repeated_request_gives_the_first_answer() {
    let (_dir, server) = start();
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
    // Another actor's key is another key.
    assert_eq!(
        post("bob", "other").await.unwrap().status(),
        StatusCode::CREATED
    );
    assert_eq!(server.json("/v1/specs").await["total"], 2);
}

#[tokio::test]
async fn a_list_is_paged_and_filtered() {
    let (_dir, server) = start();
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
async fn a_correlation_id_goes_from_the_request_to_the_history() {
    let (_dir, server) = start();
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
