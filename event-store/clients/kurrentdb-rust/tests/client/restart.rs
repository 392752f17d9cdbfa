//! Subscriptions that continue after a restart of the server.

use kurrentdb::{RetryOptions, StreamPosition, SubscribeToStreamOptions};

use crate::support::{Server, connect, events, number, within};

#[tokio::test(flavor = "multi_thread")]
async fn subscription_continues_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = |address| {
        [
            "--insecure",
            "--store",
            "sqlite:events.db",
            "--bind-addr",
            address,
        ]
    };
    let server = Server::start(folder.path(), &options("127.0.0.1:0"));
    let address = server.address.clone();
    let client = connect(&format!("esdb://{address}?tls=false"));
    let retry = RetryOptions::default()
        .retry_forever()
        .retry_delay(std::time::Duration::from_millis(50));
    let following = SubscribeToStreamOptions::default()
        .start_from(StreamPosition::Start)
        .retry_options(retry);
    let mut subscription = client.subscribe_to_stream("hive-1", &following).await;
    client
        .append_to_stream("hive-1", &Default::default(), events(0..3))
        .await
        .unwrap();
    for expected in 0..3 {
        assert_eq!(
            number(&within(subscription.next()).await.unwrap()),
            expected
        );
    }
    drop(server);
    let _server = Server::start(folder.path(), &options(&address));
    let other = connect(&format!("esdb://{address}?tls=false"));
    other
        .append_to_stream("hive-1", &Default::default(), events(3..6))
        .await
        .unwrap();
    for expected in 3..6 {
        assert_eq!(
            number(&within(subscription.next()).await.unwrap()),
            expected
        );
    }
}
