//! The catalog of the service, its copy in the book, and the schema lock of its events.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::path::Path;

use factum::schema::events_lock;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use spec_service::catalog::catalog;
use spec_service::specs::domain::SpecEvent;
use spec_service::webhooks::domain::WebhookEvent;

use server::Server;

#[test]
fn stored_events_match_the_schema_lock() {
    events_lock("events.lock")
        .event::<SpecEvent>()
        .event::<WebhookEvent>()
        .check();
}

/// Compares the copy, or writes it with `FACTUM_UPDATE=1`.
#[test]
fn catalog_in_the_book_is_up_to_date() {
    let copy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/spec-service/catalog.md");
    let now = catalog().to_markdown();
    if std::env::var("FACTUM_UPDATE").is_ok_and(|update| update == "1") {
        fs::write(&copy, &now).unwrap();
    }
    let text = fs::read_to_string(&copy).unwrap_or_default();
    assert!(
        text == now,
        "docs/src/spec-service/catalog.md is out of date: run this test with FACTUM_UPDATE=1"
    );
}

#[test]
fn catalog_has_the_lifecycle_table() {
    let text = catalog().to_markdown();
    let start = text.find("| state | command |").unwrap();
    let table: Vec<&str> = text[start..].lines().skip(2).take(10).collect();
    assert_eq!(
        table,
        [
            "| not created | [`CreateSpec`](#createspec) | [`spec.created`](#speccreated) | draft |",
            "| draft | [`UpdateSpec`](#updatespec) | [`spec.updated`](#specupdated) | draft |",
            "| draft | [`PublishSpec`](#publishspec) | [`spec.published`](#specpublished) | published |",
            "| draft | [`DeleteSpec`](#deletespec) | [`spec.deleted`](#specdeleted) | deleted |",
            "| published | [`UpdateSpec`](#updatespec) | [`spec.updated`](#specupdated) | published |",
            "| published | [`PublishSpec`](#publishspec) | [`spec.published`](#specpublished) | published |",
            "| published | [`DeprecateSpec`](#deprecatespec) | [`spec.deprecated`](#specdeprecated) | deprecated |",
            "| published | [`DeleteSpec`](#deletespec) | [`spec.deleted`](#specdeleted) | deleted |",
            "| deprecated | [`DeleteSpec`](#deletespec) | [`spec.deleted`](#specdeleted) | deleted |",
            "",
        ]
    );
}

#[tokio::test]
async fn catalog_formats_have_their_own_routes() {
    let (_dir, server) = Server::fresh();
    let get = async |path: &str| {
        let response = server.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let content_type = response.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        (content_type, response.text().await.unwrap())
    };
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();

    let (content_type, text) = get("/catalog").await;
    assert_eq!(content_type, "text/markdown; charset=utf-8");
    assert_eq!(text, catalog().to_markdown());
    let (content_type, text) = get("/catalog/schema.json").await;
    assert_eq!(content_type, "application/schema+json");
    assert_eq!(json(&text), catalog().to_json_schema());
    let (content_type, text) = get("/catalog/asyncapi.json").await;
    assert_eq!(
        content_type,
        "application/vnd.aai.asyncapi+json;version=3.0.0"
    );
    assert_eq!(json(&text), catalog().to_asyncapi());
}
