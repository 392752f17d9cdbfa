//! Search and bulk changes over both APIs of a running server.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use reqwest::StatusCode;
use serde_json::{Value, json};
use spec_service::grpc::generated as proto;
use spec_service::grpc::generated::bulk_service_client::BulkServiceClient;
use spec_service::grpc::generated::search_service_client::SearchServiceClient;
use tonic::Code;
use tonic_types::StatusExt as _;

use server::{Server, problem};

fn creation(name: &str, content: &str) -> Value {
    json!({ "action": "create", "name": name, "content": content, "description": "for refunds" })
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_changes_are_found_over_rest() {
    let (_dir, server) = Server::fresh();
    let changes = json!({ "reason": "release 7", "changes": [
        creation("refund-limits", "limit: 250\n"), creation("routes", "limit: refund\n"),
    ] });
    let response = server.post("/v1/bulk", &changes).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-position"], "2");
    let report: Value = response.json().await.unwrap();
    assert_eq!(
        (&report["applied"], &report["refused"]),
        (&json!(true), &json!(0))
    );
    let id = &report["items"][0]["id"];
    let item = json!({ "index": 0, "id": id, "revision": 1, "latest_version": 1 });
    assert_eq!(report["items"][0], item);

    let found = server
        .json("/v1/search?q=refund+lim*&state=draft&limit=1")
        .await;
    assert_eq!(
        (&found["total"], &found["total_is_exact"]),
        (&json!(2), &json!(true))
    );
    let hit = &found["hits"][0];
    assert_eq!((&hit["id"], &hit["name"]), (id, &json!("refund-limits")));
    assert_eq!(hit["highlights"][0]["field"], "name");
    let part = json!({ "text": "refund", "match": true });
    assert_eq!(hit["highlights"][0]["parts"][0], part);
    let next = found["next_cursor"].as_str().unwrap();
    let path = format!("/v1/search?q=refund+lim*&state=draft&limit=1&cursor={next}");
    let second = server.json(&path).await;
    assert_eq!(second["hits"][0]["name"], "routes");
    assert_eq!(second["next_cursor"], Value::Null);

    for (path, status, code) in [
        ("/v1/search?q=%22open", 422, "invalid_query"),
        ("/v1/search?limit=0", 400, "invalid_limit"),
        ("/v1/search?cursor=p1", 400, "invalid_cursor"),
        ("/v1/search?cursor=s1", 400, "invalid_cursor"),
        ("/v1/search?changed_since=now", 400, "malformed"),
        ("/v1/search?query=x", 400, "malformed"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let body = problem(server.get(path).await, status).await;
        assert_eq!(body["code"], code, "{path}");
    }

    let refused = json!({ "changes": [creation("new", "a: 1\n"), creation("routes", "a: 1\n")] });
    let body = problem(
        server.post("/v1/bulk", &refused).await,
        StatusCode::CONFLICT,
    )
    .await;
    assert_eq!(
        (&body["code"], &body["refused"]),
        (&json!("bulk_refused"), &json!(1))
    );
    let detail = "name already in use: routes; choose another name";
    let item = json!({ "index": 1, "code": "name_taken", "detail": detail });
    assert_eq!(body["items"], json!([item]));
    for (body, code) in [
        (json!({ "changes": [] }), "bulk_count"),
        (
            json!({ "changes": [{ "action": "publish", "id": "1" }] }),
            "invalid_field",
        ),
        (
            json!({ "changes": [{ "action": "rename", "id": id }] }),
            "invalid_field",
        ),
    ] {
        let response = server.post("/v1/bulk", &body).await;
        let body = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(body["code"], code, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_changes_are_found_over_grpc() {
    let (_dir, server) = Server::fresh();
    let channel = server.channel().await;
    let mut bulk = BulkServiceClient::new(channel.clone());
    let mut search = SearchServiceClient::new(channel);
    let create = |name: &str| proto::BulkChange {
        action: Some(proto::bulk_change::Action::Create(proto::BulkCreate {
            name: name.to_owned(),
            content: "limit: 250\n".to_owned(),
            description: None,
            namespace: String::new(),
        })),
        expected_revision: None,
    };
    let request = |dry_run| proto::ChangeSpecsRequest {
        changes: vec![create("refund-limits"), create("routes")],
        dry_run,
        reason: None,
    };
    let dry = bulk.change_specs(request(true)).await.unwrap().into_inner();
    assert_eq!((dry.applied, dry.results.len()), (false, 2));
    let response = bulk.change_specs(request(false)).await.unwrap();
    assert_eq!(response.metadata().get("x-position").unwrap(), "2");
    assert!(response.into_inner().applied);
    let refused = bulk.change_specs(request(false)).await.unwrap_err();
    let details = refused.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(
        (refused.code(), &*info.reason),
        (Code::FailedPrecondition, "BULK_REFUSED")
    );
    assert!(info.metadata["items"].contains("name_taken"), "{info:?}");

    let query = |query: &str, page_token: String| proto::SearchSpecsRequest {
        query: query.to_owned(),
        page_size: 1,
        page_token,
        ..proto::SearchSpecsRequest::default()
    };
    let found = search
        .search_specs(query("limit", String::new()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((found.total, found.total_is_exact), (2, true));
    assert_eq!(found.hits[0].name, "routes");
    assert_eq!(found.hits[0].highlights[0].field, "content");
    let second = search
        .search_specs(query("limit", found.next_page_token))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (&*second.hits[0].name, &*second.next_page_token),
        ("refund-limits", "")
    );
    let invalid = search
        .search_specs(query("-x", String::new()))
        .await
        .unwrap_err();
    let reason = invalid
        .get_error_details()
        .error_info()
        .unwrap()
        .reason
        .clone();
    assert_eq!(
        (invalid.code(), &*reason),
        (Code::InvalidArgument, "INVALID_QUERY")
    );
}
