//! The audit report, and the program that verifies it.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::path::Path;
use std::process::{Command, Output};

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use spec_service::audit::{Chain, FIRST_HASH};
use spec_service::grpc::generated::ExportAuditRequest;
use spec_service::grpc::generated::audit_service_client::AuditServiceClient;
use spec_service::grpc::generated::export_audit_response::Part;

use server::{Server, problem};

async fn text(server: &Server, path: &str) -> String {
    let response = server.get(path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.text().await.unwrap()
}

/// Runs the program of the book on a report.
fn verify(report: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report");
    std::fs::write(&file, report).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/verify-audit");
    Command::new(program).arg(file).output().unwrap()
}

/// Creates two specifications, one by a person whose name looks like a formula.
async fn server_with_history() -> (tempfile::TempDir, Server, String) {
    let (dir, server) = Server::fresh();
    let first = server.create("card-limits", "limit: 1\n").await;
    let body =
        json!({"name": "second", "content": "a: \"x,y\"\n", "reason": "<b>bold</b>\n\"quoted\""});
    let created = server
        .request(Method::POST, "/v1/specs")
        .header("x-actor", "=1+1")
        .json(&body);
    assert_eq!(created.send().await.unwrap().status(), StatusCode::CREATED);
    let published = server
        .post(&format!("/v1/specs/{first}/publish"), &json!({}))
        .await;
    assert_eq!(published.status(), StatusCode::OK);
    (dir, server, first)
}

#[tokio::test]
async fn reports_are_verified_by_the_program_of_the_book() {
    let (_dir, server, _) = server_with_history().await;
    for format in ["json", "csv"] {
        let report = text(&server, &format!("/v1/audit?format={format}")).await;
        let verified = verify(&report);
        let output = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(
            output.starts_with("3 records, last hash "),
            "{format}: {verified:?}"
        );
        let changed = report.replacen("card-limits", "card-limit2", 1);
        assert!(
            changed != report && !verify(&changed).status.success(),
            "{format}"
        );
        let lines: Vec<&str> = report.split_inclusive('\n').collect();
        let without_third = [&lines[..2], &lines[3..]].concat().concat();
        assert!(!verify(&without_third).status.success(), "{format}");
    }
}

#[tokio::test]
async fn report_selects_time_actor_and_spec() {
    let (_dir, server, first) = server_with_history().await;
    let all: Value = serde_json::from_str(&text(&server, "/v1/audit").await).unwrap();
    assert_eq!(all["count"], 3);
    let record = &all["records"][0];
    assert_eq!(
        (&record["event_type"], &record["actor"]),
        (&json!("spec.created"), &json!("anonymous"))
    );
    let second = all["records"][1]["time"].as_str().unwrap();
    for (path, count) in [
        (format!("/v1/audit?spec={first}"), 2),
        ("/v1/audit?actor=%3D1%2B1".to_owned(), 1),
        ("/v1/audit?actor=nobody".to_owned(), 0),
        (format!("/v1/audit?from={second}"), 2),
        (format!("/v1/audit?to={second}"), 1),
    ] {
        let report: Value = serde_json::from_str(&text(&server, &path).await).unwrap();
        assert_eq!(report["count"], count, "{path}");
        assert_eq!(report["records"].as_array().unwrap().len(), count, "{path}");
    }
}

#[tokio::test]
async fn csv_has_no_formulas_and_html_no_markup() {
    let (_dir, server, _) = server_with_history().await;
    let csv = text(&server, "/v1/audit?format=csv").await;
    assert!(csv.contains("\"'=1+1\"") && !csv.contains(",\"=1+1\""));
    let page = server.get("/v1/audit?format=html").await;
    assert!(page.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    let page = page.text().await.unwrap();
    assert!(page.contains("&lt;b&gt;bold&lt;/b&gt;") && !page.contains("<b>bold</b>"));
    assert!(page.contains("End of the report: 3 records."));
}

#[tokio::test]
async fn invalid_requests_for_reports_are_refused() {
    let (_dir, server) = Server::fresh();
    for query in ["from=yesterday", "spec=x", "format=pdf", "color=red"] {
        let refused = server.get(&format!("/v1/audit?{query}")).await;
        assert_eq!(
            problem(refused, StatusCode::BAD_REQUEST).await["code"],
            "malformed",
            "{query}"
        );
    }
    let span = "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z";
    let refused = server.get(&format!("/v1/audit?{span}")).await;
    let refused = problem(refused, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(refused["code"], "empty_time_span");
}

#[tokio::test]
async fn grpc_report_has_the_hashes_of_the_rest_report() {
    let (_dir, server, first) = server_with_history().await;
    let path = format!("/v1/audit?spec={first}");
    let report: Value = serde_json::from_str(&text(&server, &path).await).unwrap();
    let mut client = AuditServiceClient::new(server.channel().await);
    let request = ExportAuditRequest {
        spec_id: Some(first),
        ..ExportAuditRequest::default()
    };
    let mut parts = client.export_audit(request).await.unwrap().into_inner();
    let mut last = FIRST_HASH.to_owned();
    let mut count = 0;
    loop {
        match parts.message().await.unwrap().unwrap().part.unwrap() {
            Part::Record(record) => {
                count += 1;
                last = record.hash;
            }
            Part::End(end) => {
                assert_eq!((end.count, &end.last_hash), (count, &last));
                break;
            }
        }
    }
    assert_eq!(parts.message().await.unwrap(), None);
    assert_eq!(
        (json!(count), json!(last)),
        (report["count"].clone(), report["last_hash"].clone())
    );
    assert_eq!(Chain::default().last(), FIRST_HASH);
}
