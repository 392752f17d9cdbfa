//! Reloads of the file of users while calls are open.

use std::time::Duration;

use factum_store_protocol::v1;
use futures_util::stream::unfold;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status, Streaming};

use crate::process::LIMIT;
use crate::server::{ADMIN, Authorization, PASSWORD, Server, append, token_entry, user};

const READER: &str = "[roles.reader]\nread = [\"order-\"]\n";

/// Waits until a call has this result.
async fn wait_for(server: &Server, user: &str, code: Code) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let head = server.events_of(user).get_head(v1::GetHeadRequest {}).await;
        let actual = head.map_or_else(|status| status.code(), |_| Code::Ok);
        if actual == code {
            return;
        }
        assert!(Instant::now() < deadline, "{user}: {actual:?}");
        tokio::task::yield_now().await;
    }
}

/// Returns the status with which a call ends.
async fn end_of<T>(mut messages: Streaming<T>) -> Status {
    let end = async {
        loop {
            if let Err(status) = messages.message().await {
                return status;
            }
        }
    };
    timeout(Duration::from_secs(5), end).await.unwrap()
}

#[tokio::test]
async fn open_calls_end_when_the_credentials_are_revoked() {
    let password = &*PASSWORD;
    let entry = |disabled: bool| {
        format!(
            "[users.ada]\nroles = [\"reader\"]\npassword = \"{password}\"\ndisabled = {disabled}\n"
        )
    };
    let all = format!(
        "{}{READER}{}{}",
        *ADMIN,
        user("shop", "\"reader\""),
        entry(false)
    );
    let server = Server::start(&all);
    let mut shop = server.events_of("shop");
    let mut ada = server.events(Authorization::basic("ada", "correct horse"));
    let request = v1::SubscribeRequest::default;
    let of_token = shop.subscribe(request()).await.unwrap().into_inner();
    let of_password = ada.subscribe(request()).await.unwrap().into_inner();
    let heads = shop.watch_head(v1::WatchHeadRequest::default()).await;
    let heads = heads.unwrap().into_inner();
    let mut of_root = server.events_of("root");
    let mut kept = of_root.subscribe(request()).await.unwrap().into_inner();

    // The token is removed, and the other user is disabled.
    server.reload(&format!("{}{READER}{}", *ADMIN, entry(true)));
    let status = end_of(of_token).await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    assert!(status.message().contains("revoked"), "{status}");
    assert_eq!(end_of(of_password).await.code(), Code::Unauthenticated);
    assert_eq!(end_of(heads).await.code(), Code::Unauthenticated);
    let status = ada.get_head(v1::GetHeadRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);

    // Other calls continue.
    of_root.append(append(&["order-1"])).await.unwrap();
    loop {
        let message = timeout(LIMIT, kept.message()).await.unwrap().unwrap();
        if let Some(v1::subscribe_response::Message::Events(batch)) = message.unwrap().message {
            assert_eq!(batch.events[0].stream, "order-1");
            break;
        }
    }
}

#[tokio::test]
async fn open_calls_end_when_the_token_expires() {
    let soon = factum::Timestamp::now() + Duration::from_secs(3);
    let token = token_entry("shop", &format!(", expires = {soon}"));
    let shop = format!("[users.shop]\nroles = [\"reader\"]\ntokens = [{token}]\n");
    let server = Server::start(&format!("{}{READER}{shop}", *ADMIN));
    let mut client = server.events_of("shop");
    let messages = client.subscribe(v1::SubscribeRequest::default()).await;
    let status = end_of(messages.unwrap().into_inner()).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(factum::Timestamp::now() >= soon);
}

#[tokio::test]
async fn stream_of_appends_ends_when_the_token_is_revoked() {
    let roles = "[roles.writer]\nappend = [\"order-\"]\n";
    let server = Server::start(&format!("{}{roles}{}", *ADMIN, user("shop", "\"writer\"")));
    let (requests, receiver) = tokio::sync::mpsc::channel(8);
    let stream = unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    let answers = server.events_of("shop").append_stream(stream).await;
    let mut answers = answers.unwrap().into_inner();
    let request = || v1::AppendStreamRequest {
        request_id: 1,
        append: Some(append(&["order-1"])),
    };
    requests.send(request()).await.unwrap();
    answers.message().await.unwrap().unwrap();
    server.reload(&ADMIN);
    assert_eq!(end_of(answers).await.code(), Code::Unauthenticated);
    assert_eq!(server.head().await, 1);
}

#[tokio::test]
async fn permissions_change_without_a_restart() {
    let users = |read: &str| {
        let role = format!("[roles.reader]\nread = [{read}]\n");
        format!("{}{role}{}", *ADMIN, user("shop", "\"reader\""))
    };
    let server = Server::start(&users("\"order-\""));
    let mut root = server.events_of("root");
    root.append(append(&["order-1", "cart-1"])).await.unwrap();
    let mut shop = server.events_of("shop");
    let subscribed = shop.subscribe(v1::SubscribeRequest::default()).await;
    let messages = subscribed.unwrap().into_inner();
    let describe = |stream: &str| v1::DescribeStreamRequest {
        stream: stream.to_owned(),
    };
    shop.describe_stream(describe("order-1")).await.unwrap();
    server.reload(&users(""));
    let deadline = Instant::now() + LIMIT;
    while shop.describe_stream(describe("order-1")).await.is_ok() {
        assert!(Instant::now() < deadline);
    }
    // The open subscription notices it with the next event.
    root.append(append(&["order-1"])).await.unwrap();
    assert_eq!(end_of(messages).await.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn invalid_file_changes_nothing() {
    let server = Server::start(&format!("{}{}", *ADMIN, user("shop", "")));
    wait_for(&server, "shop", Code::Ok).await;
    for (invalid, reason) in [
        ("\n\n secret", "line 3"),
        ("", "it has no users"),
        ("[users.shop]\nroles = [\"missing\"]\n", "unknown role"),
        ("[users.shop]\nroles = []\nunknown = 1\n", "unknown field"),
    ] {
        server.reload(invalid);
        let line = server.wait_for_log("users not reloaded");
        assert!(line.contains(reason), "{line}");
        assert!(!line.contains("secret"), "{line}");
        wait_for(&server, "shop", Code::Ok).await;
    }
    server.reload(&format!("{}{}", *ADMIN, user("late", "")));
    wait_for(&server, "late", Code::Ok).await;
    wait_for(&server, "shop", Code::Unauthenticated).await;
}

#[tokio::test]
async fn refusals_are_logged_at_a_limited_rate() {
    let server = Server::start(&format!("{}{}", *ADMIN, user("shop", "")));
    let mut shop = server.events_of("shop");
    for _ in 0..100 {
        shop.append(append(&["order-1"])).await.unwrap_err();
    }
    let line = server.wait_for_log("permission denied");
    for part in ["shop", "append", "order-1"] {
        assert!(line.contains(part), "{line}");
    }
    // Each line has the number of omitted lines before it.
    let mut anonymous = server.events(Authorization::none());
    let (mut lines, mut refusals) = (1, 1);
    let deadline = Instant::now() + LIMIT;
    while refusals < 100 {
        let head = anonymous.get_head(v1::GetHeadRequest {}).await;
        head.unwrap_err();
        let refused = |line: &String| line.contains("request refused");
        if let Some(line) = server.logged().filter(refused) {
            let omitted = line.split("omitted=").nth(1).unwrap().trim();
            refusals += 1 + omitted.parse::<usize>().unwrap();
            lines += 1;
        }
        assert!(
            Instant::now() < deadline,
            "{lines} lines, {refusals} refusals"
        );
    }
    assert!(lines <= refusals / 5, "{lines} lines, {refusals} refusals");
}
