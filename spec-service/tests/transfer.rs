//! Import, export and apply, over both APIs of a running server.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use spec_service::grpc::generated as proto;
use spec_service::grpc::generated::transfer_service_client::TransferServiceClient;
use spec_service::transfer::{ArchiveFormat, read_archive};
use tonic::Code;
use tonic_types::StatusExt as _;

use server::{Server, problem};

fn document(name: &str, content: &str) -> Value {
    json!({ "name": name, "content": content })
}

async fn apply(server: &Server, body: &Value) -> Value {
    let response = server.post("/v1/apply", body).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

/// Returns the actions of the steps.
fn actions(applied: &Value) -> Vec<&str> {
    let steps = applied["steps"].as_array().unwrap();
    steps
        .iter()
        .map(|step| step["action"].as_str().unwrap())
        .collect()
}

async fn bytes(server: &Server, path: &str) -> Vec<u8> {
    let response = server.get(path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.bytes().await.unwrap().to_vec()
}

async fn import(server: &Server, path: &str, archive: Vec<u8>) -> reqwest::Response {
    let request = server.request(Method::POST, path).body(archive);
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_apply_changes_nothing() {
    let (_dir, server) = Server::fresh();
    let documents =
        json!({ "documents": [document("limits", "a: 1\n"), document("routes", "a: 1\n")] });
    let first = apply(&server, &documents).await;
    assert_eq!(
        (&first["applied"], actions(&first)),
        (&json!(true), vec!["create"; 2])
    );
    let second = apply(&server, &documents).await;
    assert_eq!(
        (&second["applied"], actions(&second)),
        (&json!(false), vec!["unchanged"; 2])
    );
    let changed =
        json!({ "documents": [document("limits", "a: 2\n"), document("routes", "a: 1\n")] });
    let third = apply(&server, &changed).await;
    assert_eq!(actions(&third), ["update", "unchanged"]);
    let limits = format!("/v1/specs/{}", third["steps"][0]["id"].as_str().unwrap());
    assert_eq!(server.json(&limits).await["latest_version"], 2);

    // A deleted specification is created again, with another id.
    let deleted = server
        .request(Method::DELETE, &limits)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        actions(&apply(&server, &changed).await),
        ["create", "unchanged"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn outdated_plan_is_refused() {
    let (_dir, server) = Server::fresh();
    let id = server.create("limits", "a: 1\n").await;
    let documents = [document("limits", "a: 2\n"), document("new", "a: 1\n")];
    let dry = json!({ "documents": documents, "dry_run": true });
    let planned = apply(&server, &dry).await;
    assert_eq!(
        (&planned["applied"], actions(&planned)),
        (&json!(false), vec!["update", "create"])
    );
    assert_eq!(
        planned["steps"][0],
        json!({ "name": "limits", "action": "update", "id": id, "revision": 1 })
    );
    let carry_out = json!({ "documents": documents, "plan": planned["plan"] });

    let published = server
        .post(&format!("/v1/specs/{id}/publish"), &json!({}))
        .await;
    assert_eq!(published.status(), StatusCode::OK);
    let refused = problem(
        server.post("/v1/apply", &carry_out).await,
        StatusCode::CONFLICT,
    )
    .await;
    assert_eq!(refused["code"], "plan_outdated");
    assert_eq!(server.json("/v1/specs").await["total"], 1);

    let planned = apply(&server, &dry).await;
    assert_eq!(refused["plan"], planned["plan"]);
    let carry_out = json!({ "documents": documents, "plan": planned["plan"] });
    assert_eq!(apply(&server, &carry_out).await["applied"], true);
    // A repeated request finds what it wants.
    assert_eq!(apply(&server, &carry_out).await["applied"], false);
    let other = json!({ "documents": [document("limits", "a: 3\n")], "plan": planned["plan"] });
    let refused = problem(server.post("/v1/apply", &other).await, StatusCode::CONFLICT).await;
    assert_eq!(refused["code"], "plan_outdated");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_document_prevents_all_others() {
    let (_dir, server) = Server::fresh();
    for (documents, code) in [
        (json!([]), "document_count"),
        (
            json!([document("ok", "a: 1\n"), document("no name", "a: 1\n")]),
            "invalid_name",
        ),
        (
            json!([document("ok", "a: 1\n"), document("x", "a: [\n")]),
            "yaml_syntax",
        ),
        (
            json!([document("x", "a: 1\n"), document("x", "a: 2\n")]),
            "duplicate_document",
        ),
    ] {
        let response = server
            .post("/v1/apply", &json!({ "documents": documents }))
            .await;
        let body = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(body["code"], code);
    }
    assert_eq!(server.json("/v1/specs").await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_archive_can_be_imported() {
    let (_dir, server) = Server::fresh();
    let (_other_dir, other) = Server::fresh();
    let id = server.create("limits", "a: 1 # one\n").await;
    server.create("routes", "b: 1\n").await;
    server
        .post(&format!("/v1/specs/{id}/publish"), &json!({}))
        .await;
    let update = server.request(Method::PUT, &format!("/v1/specs/{id}"));
    update
        .json(&json!({ "content": "a: 2\n" }))
        .send()
        .await
        .unwrap();

    for (format, kind) in [("tar", ArchiveFormat::Tar), ("zip", ArchiveFormat::Zip)] {
        let archive = bytes(&server, &format!("/v1/export?format={format}")).await;
        let files = read_archive(kind, &archive, 2_048).unwrap();
        let files: Vec<_> = files
            .iter()
            .map(|file| (file.name.as_str(), &file.content[..]))
            .collect();
        assert_eq!(files, [("limits", &b"a: 2\n"[..]), ("routes", b"b: 1\n")]);
        let path = format!("/v1/import?format={format}");
        let imported: Value = import(&other, &path, archive).await.json().await.unwrap();
        let expected = if format == "tar" {
            "create"
        } else {
            "unchanged"
        };
        assert_eq!(actions(&imported), [expected; 2]);
    }
    let published = bytes(&server, "/v1/export?format=zip&version=published").await;
    let files = read_archive(ArchiveFormat::Zip, &published, 2_048).unwrap();
    assert_eq!(
        (files.len(), &files[0].content[..]),
        (1, &b"a: 1 # one\n"[..])
    );
    let path = "/v1/import?format=zip&dry_run=true";
    let planned: Value = import(&other, path, published).await.json().await.unwrap();
    assert_eq!(
        (&planned["applied"], actions(&planned)),
        (&json!(false), vec!["update"])
    );

    let response = import(&other, "/v1/import?format=zip", b"hello".to_vec()).await;
    let body = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(body["code"], "invalid_archive");
    let response = import(&other, "/v1/import?format=zip", vec![0; 17 << 20]).await;
    let body = problem(response, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert_eq!(body["code"], "body_too_large");
    for path in [
        "/v1/export?after=1",
        "/v1/export?format=rar",
        "/v1/export?format=zip&after=1",
    ] {
        problem(server.get(path).await, StatusCode::BAD_REQUEST).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_exported_as_lines() {
    let (_dir, server) = Server::fresh();
    let id = server.create("limits", "a: 1\n").await;
    for number in 0..250 {
        server.create(&format!("s{number}"), "a: 1\n").await;
    }
    let deleted = server.request(Method::DELETE, &format!("/v1/specs/{id}?reason=old"));
    assert_eq!(
        deleted.send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    let lines = async |path: &str| {
        let text = String::from_utf8(bytes(&server, path).await).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let all = lines("/v1/export?format=ndjson").await;
    assert_eq!(all.len(), 252);
    let history = server.json(&format!("/v1/specs/{id}/history")).await;
    for (line, event) in [
        (&all[0], &history["events"][0]),
        (&all[251], &history["events"][1]),
    ] {
        assert_eq!(line["id"], *id);
        for field in [
            "position",
            "revision",
            "event_id",
            "event_type",
            "occurred_at",
            "actor",
            "reason",
            "payload",
        ] {
            assert_eq!(line[field], event[field], "{field}");
        }
    }
    assert_eq!(
        lines("/v1/export?format=ndjson&after=200").await,
        all[200..]
    );
    assert_eq!(
        lines("/v1/export?format=ndjson&after=252").await,
        [Value::Null; 0]
    );
    let beyond = server.get("/v1/export?format=ndjson&after=253").await;
    assert_eq!(
        problem(beyond, StatusCode::CONFLICT).await["code"],
        "position_beyond_head"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_transfers_the_same() {
    let (_dir, server) = Server::fresh();
    let mut client = TransferServiceClient::new(server.channel().await);
    let request = |plan: &str, dry_run| proto::ApplySpecsRequest {
        documents: vec![proto::SpecDocument {
            name: "limits".to_owned(),
            content: "a: 1\n".to_owned(),
            description: Some("for refunds".to_owned()),
        }],
        plan: plan.to_owned(),
        dry_run,
        reason: None,
        namespace: String::new(),
    };
    let planned = client
        .apply_specs(request("", true))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (planned.applied, planned.steps[0].action()),
        (false, proto::ApplyAction::Create)
    );
    let outdated = client
        .apply_specs(request("0123", false))
        .await
        .unwrap_err();
    let reason = outdated
        .get_error_details()
        .error_info()
        .unwrap()
        .reason
        .clone();
    assert_eq!(
        (outdated.code(), &*reason),
        (Code::Aborted, "PLAN_OUTDATED")
    );
    let applied = client
        .apply_specs(request(&planned.plan, false))
        .await
        .unwrap();
    assert_eq!(applied.metadata().get("x-position").unwrap(), "1");

    let mut export = async |format: proto::ArchiveFormat| {
        let request = proto::ExportSpecsRequest {
            format: format.into(),
            ..proto::ExportSpecsRequest::default()
        };
        let mut parts = client.export_specs(request).await.unwrap().into_inner();
        let mut data = Vec::new();
        while let Some(part) = parts.message().await.unwrap() {
            data.extend(part.data);
        }
        data
    };
    let archive = export(proto::ArchiveFormat::Zip).await;
    let lines = export(proto::ArchiveFormat::Ndjson).await;
    assert_eq!(archive, bytes(&server, "/v1/export?format=zip").await);
    assert_eq!(lines, bytes(&server, "/v1/export?format=ndjson").await);
    let import = proto::ImportSpecsRequest {
        format: proto::ArchiveFormat::Zip.into(),
        archive,
        ..proto::ImportSpecsRequest::default()
    };
    let imported = client.import_specs(import).await.unwrap().into_inner();
    assert_eq!(imported.steps[0].action(), proto::ApplyAction::Unchanged);
}
