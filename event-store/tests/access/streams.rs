//! The permissions of each request on streams, documents and snapshots.

use factum_store_protocol::refusal::refusal_of;
use factum_store_protocol::v1;
use factum_store_protocol::v1::append_stream_response::Result as Outcome;
use factum_store_protocol::v1::query::Item;
use factum_store_protocol::v1::read_all_request::Scope;
use factum_store_protocol::v1::subscribe_response::Message;
use futures_util::stream::iter;
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::process::LIMIT;
use crate::server::{ADMIN, Events, Server, append, user};

/// A server on which `shop` reads and appends to orders and reads carts, and `bank` may do it with accounts.
fn server() -> Server {
    let roles = r#"
        [roles.shop]
        read = ["order-", "cart-"]
        append = ["order-"]
        documents = ["shop/"]
        [roles.bank]
        read = ["account-"]
        append = ["account-", "order-"]
        [roles.writer]
        append = ["order-"]
    "#;
    let users = [
        user("shop", "\"shop\""),
        user("bank", "\"bank\""),
        user("writer", "\"writer\""),
        user("nobody", ""),
    ];
    Server::start(&format!("{}{roles}{}", *ADMIN, users.concat()))
}

/// Requires the refusal of a request, and returns its facts.
fn denied<T>(answer: Result<T, Status>) -> v1::Denied {
    let Err(status) = answer else {
        panic!("expected a refusal");
    };
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (&*info.reason, &*info.domain),
        ("PERMISSION_DENIED", "factum.store")
    );
    let Some(v1::refusal::Kind::Denied(facts)) = refusal_of(&status).unwrap().kind else {
        panic!("{status:?}");
    };
    assert!(status.message().contains(&facts.resource), "{status}");
    facts
}

#[tokio::test]
async fn append_needs_the_permission_for_each_stream() {
    let server = server();
    let mut shop = server.events_of("shop");
    shop.append(append(&["order-1"])).await.unwrap();
    let facts = denied(shop.append(append(&["order-1", "account-1"])).await);
    assert_eq!(facts.principal, r#"user "shop""#);
    assert_eq!(facts.permission, "append");
    assert_eq!(facts.resource, r#"stream "account-1""#);
    for stream in [
        "cart-1",
        "orders-1",
        "orde",
        "Order-1",
        "ORDER-1",
        " order-1",
        // A Cyrillic letter, a full-width hyphen, and a combining accent.
        "\u{43e}rder-1",
        "order\u{ff0d}1",
        "orde\u{301}r-1",
    ] {
        denied(shop.append(append(&[stream])).await);
    }
    // The check of a version needs the permission to read.
    let mut checked = append(&["order-1", "cart-1"]);
    checked.events.pop();
    shop.append(checked.clone()).await.unwrap();
    checked.streams[1].stream = "account-1".to_owned();
    assert_eq!(denied(shop.append(checked).await).permission, "read");
    assert_eq!(server.head().await, 2);
}

#[tokio::test]
async fn stream_of_appends_answers_each_refusal() {
    let server = server();
    let requests = ["order-1", "account-1", "order-2"].map(|stream| v1::AppendStreamRequest {
        request_id: stream.len() as u64,
        append: Some(append(&[stream])),
    });
    let answers = server.events_of("shop").append_stream(iter(requests)).await;
    let mut answers = answers.unwrap().into_inner();
    let mut results = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        results.push(match answer.result.unwrap() {
            Outcome::Appended(appended) => appended.position.to_string(),
            Outcome::Failed(failure) => failure.reason,
        });
    }
    assert_eq!(results, ["1", "PERMISSION_DENIED", "2"]);
}

fn query(items: &[Item]) -> Option<v1::Query> {
    let items = items.to_vec();
    Some(v1::Query { items })
}

fn category(name: &str) -> Item {
    Item {
        category: Some(name.to_owned()),
        ..Item::default()
    }
}

fn tagged(tag: &str) -> Item {
    Item {
        tags: vec![tag.to_owned()],
        ..Item::default()
    }
}

#[tokio::test]
async fn condition_needs_the_permission_to_read_all_it_can_match() {
    let server = server();
    let mut root = server.events_of("root");
    root.append(append(&["account-1", "order-1"]))
        .await
        .unwrap();
    let mut shop = server.events_of("shop");
    for (items, may) in [
        (vec![category("order")], true),
        (vec![category("account")], false),
        (vec![category("order"), category("account")], false),
        // Events with a tag can be in every stream.
        (vec![tagged("apiary:1")], false),
        (vec![], false),
    ] {
        let mut request = append(&["order-2"]);
        request.condition = Some(v1::AppendCondition {
            query: query(&items),
            after: 2,
        });
        match may {
            true => drop(shop.append(request).await.unwrap()),
            false => assert_eq!(denied(shop.append(request).await).permission, "read"),
        }
    }
    assert_eq!(server.head().await, 3);
}

#[tokio::test]
async fn idempotency_key_of_another_user_shows_no_result() {
    let server = server();
    let key = |content: u8| v1::IdempotencyKey {
        key: "request-7".to_owned(),
        fingerprint: vec![content; 16].into(),
    };
    let mut request = append(&["account-1"]);
    request.idempotency_key = Some(key(1));
    let mut bank = server.events_of("bank");
    bank.append(request.clone()).await.unwrap();
    let repeated = bank.append(request).await.unwrap().into_inner();
    assert!(repeated.repeated);

    let mut shop = server.events_of("shop");
    for content in [1, 2] {
        // The same answer, whether the content is the same or not.
        let mut request = append(&["order-1"]);
        request.idempotency_key = Some(key(content));
        let status = shop.append(request).await.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists, "{status}");
        let request = v1::FindAppendRequest {
            idempotency_key: Some(key(content)),
        };
        let found = shop.find_append(request).await.unwrap_err();
        assert_eq!(found.message(), status.message());
        assert_eq!(found.code(), Code::AlreadyExists);
    }
    assert_eq!(server.head().await, 1);
}

async fn streams_of(client: &mut Events, scope: Option<Scope>) -> Result<Vec<String>, Status> {
    let request = v1::ReadAllRequest {
        scope,
        ..v1::ReadAllRequest::default()
    };
    let mut pages = client.read_all(request).await?.into_inner();
    let mut streams = Vec::new();
    while let Some(page) = pages.message().await? {
        streams.extend(page.events.into_iter().map(|event| event.stream));
    }
    Ok(streams)
}

#[tokio::test]
async fn reads_show_only_what_the_user_may_read() {
    let server = server();
    let all = ["account-1", "cart-1", "order", "order-1", "orders-1"];
    let mut root = server.events_of("root");
    root.append(append(&all)).await.unwrap();
    let mut shop = server.events_of("shop");
    assert_eq!(
        streams_of(&mut shop, None).await.unwrap(),
        ["cart-1", "order", "order-1"]
    );
    let orders = query(&[category("order")]).map(Scope::Query);
    assert_eq!(
        streams_of(&mut shop, orders).await.unwrap(),
        ["order", "order-1"]
    );
    let tag = query(&[tagged("apiary:1")]).map(Scope::Query);
    assert_eq!(streams_of(&mut shop, tag).await.unwrap().len(), 3);
    let names = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Some(Scope::Streams(v1::StreamNames { names }))
    };
    let own = streams_of(&mut shop, names(&["cart-1", "order-1"])).await;
    assert_eq!(own.unwrap(), ["cart-1", "order-1"]);
    denied(streams_of(&mut shop, names(&["cart-1", "account-1"])).await);
    let accounts = query(&[category("account")]).map(Scope::Query);
    let facts = denied(streams_of(&mut shop, accounts).await);
    assert_eq!(facts.resource, r#"streams of the category "account""#);
    denied(streams_of(&mut server.events_of("writer"), None).await);

    for stream in all {
        let read = v1::ReadStreamRequest {
            stream: stream.to_owned(),
            must_exist: true,
            ..v1::ReadStreamRequest::default()
        };
        let describe = v1::DescribeStreamRequest {
            stream: stream.to_owned(),
        };
        let may = !["account-1", "orders-1"].contains(&stream);
        assert_eq!(shop.read_stream(read).await.is_ok(), may, "{stream}");
        assert_eq!(
            shop.describe_stream(describe).await.is_ok(),
            may,
            "{stream}"
        );
    }
    // The answer does not show whether a stream exists.
    let missing = v1::DescribeStreamRequest {
        stream: "account-2".to_owned(),
    };
    denied(shop.describe_stream(missing).await);
}

#[tokio::test]
async fn list_has_the_streams_that_the_user_may_read() {
    let server = server();
    let mut root = server.events_of("root");
    let all = [
        "account-1",
        "cart",
        "cart-1",
        "order",
        "order+1",
        "order-1",
        "order-2",
        "orders-1",
        "z",
    ];
    root.append(append(&all)).await.unwrap();
    let mut shop = server.events_of("shop");
    let visible = ["cart", "cart-1", "order", "order-1", "order-2"];
    for page_size in 1..=6 {
        let mut listed = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListStreamsRequest {
                page_size,
                page_token,
                ..v1::ListStreamsRequest::default()
            };
            let page = shop.list_streams(request).await.unwrap().into_inner();
            assert!(page.streams.len() <= page_size as usize);
            listed.extend(page.streams.into_iter().map(|summary| summary.stream));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, visible, "pages of {page_size}");
    }
    let of = |category: &str| v1::ListStreamsRequest {
        category: Some(category.to_owned()),
        ..v1::ListStreamsRequest::default()
    };
    let orders = shop.list_streams(of("order")).await.unwrap().into_inner();
    let orders: Vec<_> = orders.streams.into_iter().map(|s| s.stream).collect();
    assert_eq!(orders, ["order", "order-1", "order-2"]);
    denied(shop.list_streams(of("account")).await);
}

#[tokio::test]
async fn subscription_delivers_only_what_the_user_may_read() {
    let server = server();
    let mut root = server.events_of("root");
    root.append(append(&["account-1", "order-1"]))
        .await
        .unwrap();
    let mut shop = server.events_of("shop");
    let messages = shop.subscribe(v1::SubscribeRequest::default()).await;
    let mut messages = messages.unwrap().into_inner();
    let mut received = Vec::new();
    while received.len() < 2 {
        let message = timeout(LIMIT, messages.message()).await.unwrap().unwrap();
        match message.unwrap().message.unwrap() {
            Message::Events(batch) => {
                received.extend(batch.events.into_iter().map(|event| event.stream));
            }
            Message::CaughtUp(_) => {
                let streams = ["account-2", "order-2"];
                root.append(append(&streams)).await.unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(received, ["order-1", "order-2"]);
    let accounts = v1::SubscribeRequest {
        query: query(&[category("account")]),
        ..v1::SubscribeRequest::default()
    };
    let refused = shop.subscribe(accounts).await;
    let refused = match refused {
        Ok(messages) => messages.into_inner().message().await.map(drop),
        Err(status) => Err(status),
    };
    denied(refused);
}

#[tokio::test]
async fn users_do_not_share_the_pages_of_their_subscriptions() {
    let server = server();
    let mut root = server.events_of("root");
    let both = ["order-1", "account-1", "cart-1", "account-2", "order-2"];
    root.append(append(&both)).await.unwrap();
    let expected: [(&str, &[&str]); 4] = [
        ("root", &both[..4]),
        ("shop", &["order-1", "cart-1"]),
        ("bank", &["account-1"]),
        ("root", &both[..4]),
    ];
    // A message of one event is a page that is followed by another one.
    let one = v1::SubscribeRequest {
        max_batch: 1,
        ..v1::SubscribeRequest::default()
    };
    for (user, streams) in expected {
        let messages = server.events_of(user).subscribe(one.clone()).await;
        let mut messages = messages.unwrap().into_inner();
        for stream in streams {
            let message = timeout(LIMIT, messages.message()).await.unwrap();
            let Some(Message::Events(batch)) = message.unwrap().unwrap().message else {
                panic!("expected an event of {stream}");
            };
            assert_eq!(batch.events.len(), 1);
            assert_eq!(batch.events[0].stream, *stream, "for {user}");
        }
    }
}

#[tokio::test]
async fn documents_and_snapshots_need_their_permission() {
    let server = server();
    let mut shop = server.state_of("shop");
    let change = |key: &str| v1::ChangeDocumentsRequest {
        changes: vec![v1::DocumentChange {
            key: key.to_owned(),
            expected_revision: None,
            effect: Some(v1::document_change::Effect::Put("{}".to_owned())),
        }],
    };
    shop.change_documents(change("shop/lease")).await.unwrap();
    for key in [
        "bank/lease",
        "shop",
        "$groups/shop",
        "$stream/settings/order-1",
    ] {
        let changed = shop.change_documents(change(key)).await;
        match key.contains("order-1") {
            // The document belongs to a stream to which the user may append.
            true => drop(changed.unwrap()),
            false => drop(denied(changed)),
        }
    }
    // Also together with events; then the events are not stored either.
    let mut request = append(&["order-1"]);
    request.document_changes = change("bank/lease").changes;
    denied(server.events_of("shop").append(request).await);
    assert_eq!(server.head().await, 0);
    let find = |key: &str| v1::FindDocumentsRequest {
        keys: vec!["shop/lease".to_owned(), key.to_owned()],
    };
    shop.find_documents(find("shop/x")).await.unwrap();
    denied(shop.find_documents(find("bank/x")).await);
    let scan = |prefix: &str| v1::ScanDocumentsRequest {
        prefix: prefix.to_owned(),
        ..v1::ScanDocumentsRequest::default()
    };
    shop.scan_documents(scan("shop/")).await.unwrap();
    denied(shop.scan_documents(scan("")).await);

    server
        .events_of("root")
        .append(append(&["order-1", "cart-1"]))
        .await
        .unwrap();
    let save = |stream: &str| v1::SaveSnapshotRequest {
        snapshot: Some(v1::Snapshot {
            stream: stream.to_owned(),
            version: 1,
            position: 1,
            schema_version: 1,
            data: "{}".into(),
        }),
    };
    shop.save_snapshot(save("order-1")).await.unwrap();
    assert_eq!(
        denied(shop.save_snapshot(save("cart-1")).await).permission,
        "append"
    );
    let load = |stream: &str| v1::LoadSnapshotRequest {
        stream: stream.to_owned(),
    };
    shop.load_snapshot(load("cart-1")).await.unwrap();
    denied(shop.load_snapshot(load("account-1")).await);
    let cleared = shop.clear_snapshots(v1::ClearSnapshotsRequest {}).await;
    assert_eq!(denied(cleared).permission, "admin");
}

#[tokio::test]
async fn import_is_for_administrators() {
    let server = server();
    let import = v1::ImportRequest {
        append: Some(append(&["order-1"])),
        recorded_at: Some(prost_types::Timestamp::default()),
    };
    denied(server.events_of("shop").import(import.clone()).await);
    assert_eq!(server.head().await, 0);
    server.events_of("root").import(import).await.unwrap();
}
