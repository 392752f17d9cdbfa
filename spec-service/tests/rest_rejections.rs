//! The problems that the REST API returns for error requests.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

use server::{Server, problem};

async fn send(server: &Server, method: &str, path: &str, body: (&str, Vec<u8>)) -> Response {
    let request = server.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
    request
        .header(header::CONTENT_TYPE, body.0)
        .body(body.1)
        .send()
        .await
        .unwrap()
}

/// Columns: method, path, content type, expected status and body.
const MALFORMED_REQUESTS: &str = r#"
POST  /v1/specs                   application/json  400  {"name":
POST  /v1/specs                   application/json  400  {} trailing
POST  /v1/specs                   application/json  400
POST  /v1/specs                   application/json  422  []
POST  /v1/specs                   text/plain        415  a: 1
POST  /v1/specs                   application/yaml  400  a: 1
PUT   /v1/specs/{id}              text/plain        415  a: 1
PUT   /v1/specs/{id}              application/json  400
PUT   /v1/specs/7                 application/json  400  {}
PUT   /v1/specs/{none}            application/yaml  404  a: 1
PATCH /v1/specs/{id}              application/json  405  {}
POST  /v1/specs/{id}/publish      application/yaml  415  version: 1
POST  /v1/specs/{id}/publish      application/json  422  {"version": "one"}
GET   /v1/specs/{none}            text/plain        404
GET   /v1/specs/{none}/history    text/plain        404
GET   /v1/specs/{none}/versions   text/plain        404
GET   /v1/specs/{id}/versions/2   text/plain        404
GET   /v1/specs/{id}/versions/x   text/plain        400
GET   /v1/specs/{id}?version=x    text/plain        400
GET   /v1/specs/{id}?version=2    text/plain        404
GET   /v1/specs/%ff               text/plain        400
GET   /v1/specs?limit=0           text/plain        400
GET   /v1/specs?limit=101         text/plain        400
GET   /v1/specs?limit=many        text/plain        400
GET   /v1/specs?state=lost        text/plain        400
GET   /v1/specs?cursor=zzz        text/plain        400
GET   /v1/specs?sort=name         text/plain        400
GET   /nowhere                    text/plain        404
POST  /v1/specs                   application/json  422  ["n", "a: 1\n", null]
POST  /v1/specs?name=n            application/json  400  {"name": "n", "content": "a: 1"}
POST  /v1/specs?name=n&x=1        application/yaml  400  a: 1
PUT   /v1/specs/{id}?version=1    application/json  400  {"content": "a: 1"}
PUT   /v1/specs/{id}?reason=r     application/json  400  {"content": "a: 1"}
PUT   /v1/specs/{id}              application/json  422  ["a: 1"]
PUT   /v1/specs/{id}              application/json  422  {"content": "a: 1", "version": 1}
POST  /v1/specs/{id}/publish      application/json  422  [1]
POST  /v1/specs/{id}/publish      application/json  422  {"version": 1, "x": 1}
POST  /v1/specs/{id}/deprecate    application/json  422  ["r"]
DEL   /v1/specs/{id}              application/json  422  ["r"]
DEL   /v1/specs/{id}              application/json  422  {"cause": "r"}
DEL   /v1/specs/{id}              application/yaml  415  reason: r
DEL   /v1/specs/{id}?cause=r      application/json  400
DEL   /v1/specs/{id}?reason=r     application/json  400  {"reason": "r"}
GET   /v1/specs/{id}/versions/01  text/plain        400
GET   /v1/specs/{id}/versions/+1  text/plain        400
GET   /v1/specs/{id}?version=01   text/plain        400
GET   /v1/specs?limit=%2B1        text/plain        400
"#;

#[tokio::test]
async fn malformed_requests_return_problems() {
    let (_dir, server) = Server::fresh();
    let id = server.create("here", "a: 1\n").await;
    let none = uuid::Uuid::now_v7().to_string();
    for line in MALFORMED_REQUESTS.trim().lines() {
        let (words, body) = line.split_at(line.len().min(57));
        let words: Vec<&str> = words.split_whitespace().collect();
        let [method, path, content_type, status] = words[..] else {
            panic!("{line}")
        };
        let method = method.replace("DEL", "DELETE");
        let path = path.replace("{id}", &id).replace("{none}", &none);
        let response = send(&server, &method, &path, (content_type, body.trim().into())).await;
        assert_eq!(response.status().as_str(), status, "{line}");
        let status = response.status();
        problem(response, status).await;
    }
    // These paths are too long for the table.
    for (method, path) in [
        ("POST", "publish?version=1"),
        ("POST", "deprecate?reason=r"),
        ("GET", "history?x=1"),
        ("GET", "versions?x=1"),
        ("GET", "versions/1?x=1"),
    ] {
        let body = ("application/json", Vec::new());
        let response = send(&server, method, &format!("/v1/specs/{id}/{path}"), body).await;
        problem(response, StatusCode::BAD_REQUEST).await;
    }
    assert_eq!(
        server.json(&format!("/v1/specs/{id}")).await["published_version"],
        Value::Null
    );
    let not_utf8 = ("application/json", vec![b'"', 0xff, b'"']);
    problem(
        send(&server, "POST", "/v1/specs", not_utf8).await,
        StatusCode::BAD_REQUEST,
    )
    .await;
    let large = ("application/json", vec![b' '; 100_000]);
    problem(
        send(&server, "POST", "/v1/specs", large).await,
        StatusCode::PAYLOAD_TOO_LARGE,
    )
    .await;
    let correlation = server
        .request(Method::POST, "/v1/specs")
        .header("x-correlation-id", "seven");
    problem(correlation.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    assert_eq!(server.json("/v1/specs").await["total"], 1);
}

#[tokio::test]
async fn list_rejects_a_position_beyond_the_head() {
    let (_dir, server) = Server::fresh();
    let list = |position: &str| {
        let list = server.request(Method::GET, "/v1/specs");
        list.header("x-position", position).send()
    };
    server.create("here", "a: 1\n").await;
    assert_eq!(list("1").await.unwrap().status(), StatusCode::OK);
    // No write has reached this position.
    let beyond = list("1000").await.unwrap();
    assert!(!beyond.headers().contains_key(header::RETRY_AFTER));
    let beyond = problem(beyond, StatusCode::CONFLICT).await;
    assert_eq!(beyond["code"], "position_beyond_head");
    assert_eq!(
        (&beyond["position"], &beyond["head"]),
        (&json!(1_000), &json!(1))
    );
}

/// Columns: method, path, body and expected detail.
const NAMED_INPUTS: &str = r#"
GET     /v1/specs?sort=name                     {}              unknown query parameter: `sort`; allowed are `namespace`, `state`, `limit`, `cursor`, `at`
GET     /v1/specs?limit=1&limit=2               {}              repeated query parameter: `limit`; send it once
GET     /v1/specs?limit=many                    {}              invalid query parameter: limit: "many"; expected a number
GET     /v1/specs/{id}?v=1                      {}              unknown query parameter: `v`; allowed are `version`, `at`
GET     /v1/specs/{id}/history?page=2           {}              unknown query parameter: `page`; allowed are `limit`, `cursor`, `at`
GET     /v1/specs/{id}/versions/1?x             {}              unknown query parameter: `x`; the only one is `at`
POST    /v1/specs/{id}/publish?version=1        {}              unknown query parameter: `version`; this route has none
DELETE  /v1/specs/{id}?cause=r                  {}              unknown query parameter: `cause`; the only one is `reason`
GET     /v1/specs/%ff                           {}              invalid id in the path: not UTF-8; send percent-encoded UTF-8
GET     /v1/specs/{id}/versions/%ff             {}              invalid version in the path: not UTF-8; send percent-encoded UTF-8
POST    /v1/specs/{id}/publish                  {"v":1}         unknown field: `v`; allowed are `version`, `reason`
POST    /v1/specs/{id}/deprecate                {"x/y":1}       unknown field: `x/y`; the only one is `reason`
POST    /v1/specs/{id}/publish                  {"version":1,"version":2}  repeated field: `version`; send it once
POST    /v1/specs/{id}/publish                  {"version":"a"}  invalid field `version`: invalid type: string "a", expected u64 at line 1 column 14
POST    /v1/specs                               7               invalid JSON in the request body: not an object; send an object
"#;

#[tokio::test]
async fn input_errors_name_the_input_and_the_rule() {
    let (_dir, server) = Server::fresh();
    let id = server.create("here", "a: 1\n").await;
    for line in NAMED_INPUTS.trim().lines() {
        let mut words = line.split_whitespace();
        let [method, path, body] = [(); 3].map(|()| words.next().unwrap());
        let path = path.replace("{id}", &id);
        let body = ("application/json", body.as_bytes().to_vec());
        let error: Value = send(&server, method, &path, body)
            .await
            .json()
            .await
            .unwrap();
        let detail = words.collect::<Vec<_>>().join(" ");
        assert_eq!(error["detail"], detail.as_str(), "{line}");
    }
    let body = ("application/json", br#"{"x/y":1}"#.to_vec());
    let response = send(&server, "POST", "/v1/specs", body).await;
    let error = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(error["errors"][0]["pointer"], "/x~1y");
}

/// Columns: expected code, expected pointer and body of a creation.
const INVALID_FIELDS: &str = r#"
invalid_name            /name         {"name": "no spaces", "content": "a: 1"}
invalid_name            /name         {"name": "", "content": "a: 1"}
yaml_duplicate_key      /content      {"name": "n", "content": "a: 1\nb: 2\na: 3\n"}
yaml_empty              /content      {"name": "n", "content": "---\n---\n"}
yaml_syntax             /content      {"name": "n", "content": "a: [1"}
field_missing           /content      {"name": "n"}
field_missing           /content      {"name": "n", "content": null}
field_missing           /name         {"content": "a: 1"}
invalid_field           /name         {"name": 7, "content": "a: 1"}
invalid_field           /description  {"name": "n", "content": "a: 1", "description": {}}
"#;

#[tokio::test]
async fn invalid_field_has_a_json_pointer() {
    let (_dir, server) = Server::fresh();
    for line in INVALID_FIELDS.trim().lines() {
        let (words, body) = line.split_at(38);
        let words: Vec<&str> = words.split_whitespace().collect();
        let response = send(
            &server,
            "POST",
            "/v1/specs",
            ("application/json", body.into()),
        )
        .await;
        let problem = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
        let code_and_pointer = (
            problem["code"].as_str().unwrap(),
            problem["errors"][0]["pointer"].as_str().unwrap(),
        );
        assert_eq!(code_and_pointer, (words[0], words[1]), "{line}");
    }
    let post = |body: Value| {
        let post = server.request(Method::POST, "/v1/specs");
        post.json(&body).send()
    };
    let duplicate = json!({"name": "n", "content": "a: 1\nb: 2\na: 3\n"});
    let error = problem(
        post(duplicate).await.unwrap(),
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert_eq!((&error["line"], &error["column"]), (&json!(3), &json!(1)));
    assert_eq!(
        (&error["errors"][0]["line"], &error["errors"][0]["column"]),
        (&json!(3), &json!(1))
    );
    let second = json!({"name": "n", "content": "a: 1\n---\nb: 1\nb: 2\n"});
    let error = problem(
        post(second).await.unwrap(),
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert_eq!(
        (&error["document"], &error["errors"][0]["document"]),
        (&json!(2), &json!(2))
    );
    let long = json!({"name": "n", "content": "a: 1\n", "description": "x".repeat(2_001)});
    let error = problem(post(long).await.unwrap(), StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(error["errors"][0]["pointer"], "/description");
    let unknown = json!({"name": "n", "content": "a: 1\n", "colour": "red"});
    let error = problem(
        post(unknown).await.unwrap(),
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert!(
        error["detail"].as_str().unwrap().contains("colour"),
        "{error}"
    );
    let large = json!({"name": "n", "content": format!("a: {}\n", "x".repeat(2048))});
    let error = problem(post(large).await.unwrap(), StatusCode::PAYLOAD_TOO_LARGE).await;
    assert_eq!(error["errors"][0]["pointer"], "/content");
    let not_utf8 = ("application/yaml", vec![b'a', b':', b' ', b'"', 0xff, b'"']);
    let response = send(&server, "POST", "/v1/specs?name=n", not_utf8).await;
    let error = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!((&error["line"], &error["column"]), (&json!(1), &json!(5)));
}

#[tokio::test]
async fn conflict_has_its_details() {
    let (_dir, server) = Server::fresh();
    let id = server.create("taken", "a: 1\n").await;
    let path = format!("/v1/specs/{id}");
    let conflict = |path: String, body: Value| {
        let post = server.request(Method::POST, &path).json(&body).send();
        async { problem(post.await.unwrap(), StatusCode::CONFLICT).await }
    };
    let taken = conflict(
        "/v1/specs".to_owned(),
        json!({"name": "taken", "content": "a: 1\n"}),
    )
    .await;
    assert_eq!(
        (&taken["code"], &taken["name"]),
        (&json!("name_taken"), &json!("taken"))
    );
    let draft = conflict(format!("{path}/deprecate"), json!({"reason": "r"})).await;
    let details = (
        &draft["code"],
        &draft["state"],
        &draft["action"],
        &draft["allowed"],
    );
    let allowed = json!(["update", "publish", "delete"]);
    assert_eq!(
        details,
        (
            &json!("illegal_transition"),
            &json!("draft"),
            &json!("deprecate"),
            &allowed
        )
    );
}

#[tokio::test]
async fn rejected_publish_and_deprecate_have_details() {
    let (_dir, server) = Server::fresh();
    let path = format!("/v1/specs/{}", server.create("taken", "a: 1\n").await);
    server.post(&format!("{path}/publish"), &json!({})).await;
    let twice = server
        .post(&format!("{path}/publish"), &json!({"version": 1}))
        .await;
    let twice = problem(twice, StatusCode::CONFLICT).await;
    assert_eq!(
        (&twice["code"], &twice["version"]),
        (&json!("already_published"), &json!(1))
    );
    let missing = server
        .post(&format!("{path}/publish"), &json!({"version": 9}))
        .await;
    assert_eq!(
        problem(missing, StatusCode::NOT_FOUND).await["latest_version"],
        1
    );
    for body in [json!({}), json!({"reason": " "})] {
        let reason = server.post(&format!("{path}/deprecate"), &body).await;
        let error = problem(reason, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(error["errors"][0]["pointer"], "/reason");
    }
    server
        .post(&format!("{path}/deprecate"), &json!({"reason": "r"}))
        .await;
    let put = server
        .request(Method::PUT, &path)
        .json(&json!({"content": "x: 1\n"}));
    let error = problem(put.send().await.unwrap(), StatusCode::CONFLICT).await;
    assert_eq!(
        (&error["state"], &error["allowed"]),
        (&json!("deprecated"), &json!(["delete"]))
    );
}
