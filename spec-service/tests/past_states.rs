//! Reads at a point in time.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/memory.rs"]
mod memory;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use factum::{Position, Timestamp};
use factum_memory::MemoryStore;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use spec_service::app::{AppError, AsOf, PageQuery, RequestContext};
use spec_service::grpc::generated as proto;
use spec_service::specs::app::ListQuery;
use spec_service::specs::domain::SpecState;

use memory::{create, node_on, update};
use server::{Server, problem};

fn at(position: u64) -> AsOf {
    AsOf::Position(Position::new(position))
}

#[tokio::test]
async fn every_read_is_as_it_was_at_a_position() {
    let specs = node_on(&MemoryStore::new()).await;
    let context = RequestContext::default();
    let first = create(&specs, "limits", &context).await.unwrap().id; // 1
    create(&specs, "routes", &context).await.unwrap(); // 2
    update(&specs, first, "limit: 2\n", &context).await.unwrap(); // 3
    specs.publish(first, None, None, &context).await.unwrap(); // 4
    update(&specs, first, "limit: 3\n", &context).await.unwrap(); // 5
    specs.delete(first, None, &context).await.unwrap(); // 6

    let seen = async |position| {
        let specs = specs.as_of(at(position));
        let view = specs.get(first, None, &context).await.unwrap();
        let versions = specs
            .versions(first, PageQuery::default(), &context)
            .await
            .unwrap();
        let history = specs
            .history(first, PageQuery::default(), &context)
            .await
            .unwrap();
        let counts = (versions.items.len(), history.items.len());
        (view.content.to_string(), view.state, view.revision, counts)
    };
    let content = |number: u64| format!("limit: {number}\n");
    let old = seen(2).await;
    assert_eq!((old.1, old.2, old.3), (SpecState::Draft, 1, (1, 1)));
    assert_eq!(seen(3).await, (content(2), SpecState::Draft, 2, (2, 2)));
    assert_eq!(seen(4).await, (content(2), SpecState::Published, 3, (2, 3)));
    assert_eq!(seen(5).await, (content(2), SpecState::Published, 4, (3, 4)));
    assert_eq!(seen(6).await, (content(2), SpecState::Deleted, 5, (3, 5)));
    let missing = specs
        .as_of(at(0))
        .get(first, None, &context)
        .await
        .unwrap_err();
    assert_eq!(missing.code(), "not_found");
    let missing = specs
        .as_of(at(2))
        .version(first, 2, &context)
        .await
        .unwrap_err();
    assert_eq!(missing.code(), "no_such_version");
    let future = specs
        .as_of(at(7))
        .get(first, None, &context)
        .await
        .unwrap_err();
    assert!(matches!(future, AppError::BeyondHead { .. }), "{future}");

    let history = specs
        .history(first, PageQuery::default(), &context)
        .await
        .unwrap()
        .items;
    let published = history[2].event.record.recorded_at;
    let time = |micros: i64| AsOf::Time(Timestamp::from_micros(published.as_micros() + micros));
    let view = specs
        .as_of(time(0))
        .get(first, None, &context)
        .await
        .unwrap();
    assert!(view.revision >= 3, "{}", view.revision);
    let view = specs
        .as_of(time(3_600_000_000))
        .get(first, None, &context)
        .await
        .unwrap();
    assert_eq!(view.state, SpecState::Deleted);
}

#[tokio::test]
async fn list_at_a_position_is_exact_and_paged() {
    let specs = node_on(&MemoryStore::new()).await;
    let context = RequestContext::default();
    let mut ids = Vec::new();
    for number in 0..250 {
        let created = create(&specs, &format!("s{number}"), &context)
            .await
            .unwrap();
        ids.push(created.id);
    }
    for id in &ids[..100] {
        specs.publish(*id, None, None, &context).await.unwrap();
    }
    for id in &ids[..50] {
        specs.delete(*id, None, &context).await.unwrap();
    }
    let listed = async |position, state| {
        let (mut found, mut pages) = (Vec::new(), 0);
        let mut query = ListQuery {
            state,
            limit: 40,
            ..ListQuery::default()
        };
        loop {
            let page = specs
                .list_as_of(at(position), query.clone(), &context)
                .await
                .unwrap();
            assert!(page.specs.len() <= 40);
            found.extend(page.specs.into_iter().map(|spec| spec.id));
            pages += 1;
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
        assert!(pages <= 8, "{pages}");
        found
    };
    assert_eq!(listed(0, None).await, []);
    assert_eq!(listed(120, None).await, ids[..120]);
    assert_eq!(listed(250, Some(SpecState::Published)).await, []);
    assert_eq!(listed(300, Some(SpecState::Published)).await, ids[..50]);
    assert_eq!(listed(350, Some(SpecState::Published)).await, ids[..100]);
    assert_eq!(listed(400, None).await, ids[50..]);
    assert_eq!(listed(400, Some(SpecState::Deleted)).await, ids[..50]);
    let beyond = specs
        .list_as_of(at(401), ListQuery::default(), &context)
        .await
        .unwrap_err();
    assert_eq!(beyond.code(), "position_beyond_head");
    // The end of the log now is the current list.
    let query = ListQuery {
        limit: 100,
        ..ListQuery::default()
    };
    let current = specs.list(query.clone(), &context).await.unwrap();
    let now = specs.list_as_of(at(400), query, &context).await.unwrap();
    assert_eq!(now.specs, current.specs);
}

#[tokio::test(flavor = "multi_thread")]
async fn point_in_time_is_a_parameter_of_both_apis() {
    let (_dir, server) = Server::fresh();
    let id = server.create("limits", "limit: 250\n").await;
    server.create("routes", "to: eu\n").await;
    let update = server.request(Method::PUT, &format!("/v1/specs/{id}"));
    let updated = update
        .json(&json!({ "content": "limit: 300\n" }))
        .send()
        .await
        .unwrap();
    assert_eq!(updated.status(), StatusCode::OK);
    let path = format!("/v1/specs/{id}");

    assert_eq!(server.json(&path).await["content"], "limit: 300\n");
    assert_eq!(
        server.json(&format!("{path}?at=2")).await["content"],
        "limit: 250\n"
    );
    let versions = server.json(&format!("{path}/versions?at=1")).await;
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1);
    let history = server.json(&format!("{path}/history?at=3")).await;
    let second = &history["events"][1];
    assert_eq!(
        (&second["position"], &second["revision"]),
        (&json!(3), &json!(2))
    );
    let time = second["occurred_at"].as_str().unwrap();
    assert_eq!(
        server.json(&format!("{path}?at={time}")).await["latest_version"],
        2
    );
    let list = server.json("/v1/specs?at=1").await;
    assert_eq!(list["specs"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&list["total"], &list["next_cursor"]),
        (&Value::Null, &Value::Null)
    );
    for (path, status, code) in [
        (format!("{path}?at=yesterday"), 422, "invalid_point_in_time"),
        (format!("{path}?at=99"), 409, "position_beyond_head"),
        (format!("{path}?at=2000-01-01T00:00:00Z"), 404, "not_found"),
        (format!("{path}/versions/2?at=1"), 404, "no_such_version"),
        ("/v1/specs?at=99".to_owned(), 409, "position_beyond_head"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let body = problem(server.get(&path).await, status).await;
        assert_eq!(body["code"], code, "{path}");
    }

    let mut client = server.grpc().await;
    let get = proto::GetSpecRequest {
        id: id.clone(),
        at: "1".to_owned(),
        ..proto::GetSpecRequest::default()
    };
    assert_eq!(
        client.get_spec(get).await.unwrap().into_inner().content,
        "limit: 250\n"
    );
    let list = proto::ListSpecsRequest {
        at: "1".to_owned(),
        ..proto::ListSpecsRequest::default()
    };
    let list = client.list_specs(list).await.unwrap().into_inner();
    assert_eq!((list.specs.len(), list.total), (1, None));
    let history = proto::GetSpecHistoryRequest {
        id,
        at: time.to_owned(),
        ..proto::GetSpecHistoryRequest::default()
    };
    let history = client.get_spec_history(history).await.unwrap().into_inner();
    assert_eq!(history.events.len(), 2);
}
