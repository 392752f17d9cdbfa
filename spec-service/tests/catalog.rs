//! The catalog that the service serves, its copy in the book, and the lock on what it stores.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::path::Path;

use factum::schema::events_lock;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use spec_service::catalog::catalog;
use spec_service::domain::SpecEvent;

use server::Server;

#[test]
fn what_is_stored_can_still_be_read() {
    events_lock("events.lock").event::<SpecEvent>().check();
}

/// With `FACTUM_UPDATE=1` it writes the copy.
#[test]
fn the_copy_in_the_book_is_up_to_date() {
    let copy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/spec-service-catalog.md");
    let now = catalog().to_markdown();
    if std::env::var("FACTUM_UPDATE").is_ok_and(|update| update == "1") {
        fs::write(&copy, &now).unwrap();
    }
    let text = fs::read_to_string(&copy).unwrap_or_default();
    assert!(
        text == now,
        "docs/src/spec-service-catalog.md is out of date: run this test with FACTUM_UPDATE=1"
    );
}

#[test]
fn a_specification_goes_from_draft_over_published_and_deprecated_to_deleted() {
    let text = catalog().to_markdown();
    let start = text.find("| state | command |").unwrap();
    let table: Vec<&str> = text[start..].lines().skip(2).take(10).collect();
    assert_eq!(
        table,
        [
            "| not there | [`CreateSpec`](#createspec) | [`spec.created`](#speccreated) | draft |",
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
async fn each_form_of_the_catalog_has_its_address() {
    let (_dir, server) = Server::fresh();
    let get = async |path: &str| {
        let response = server.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let kind = response.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        (kind, response.text().await.unwrap())
    };
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();

    let (kind, text) = get("/catalog").await;
    assert_eq!(kind, "text/markdown; charset=utf-8");
    assert_eq!(text, catalog().to_markdown());
    let (kind, text) = get("/catalog/schema.json").await;
    assert_eq!(kind, "application/schema+json");
    assert_eq!(json(&text), catalog().to_json_schema());
    let (kind, text) = get("/catalog/asyncapi.json").await;
    assert_eq!(kind, "application/vnd.aai.asyncapi+json;version=3.0.0");
    assert_eq!(json(&text), catalog().to_asyncapi());
}
