//! Credentials, and the discovery of servers.

use std::io::Write as _;
use std::process::{Command, Stdio};

use kurrentdb::{AppendToStreamOptions, Authentication, Credentials, Error};

use crate::support::{Server, connect, events, new_name, within};

/// Returns the hash of a password for the file of users.
fn hash(password: &str) -> String {
    let mut process = Command::new(std::env::var_os("EVENT_STORE_BINARY").unwrap())
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(process.stdin.take().unwrap(), "{password}").unwrap();
    let output = process.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_decide_what_a_client_may_do() {
    let folder = tempfile::tempdir().unwrap();
    // The token `conformance`, by its SHA-256.
    let users = format!(
        r#"
        [roles.writer]
        read = ["hive-"]
        append = ["hive-"]
        [users.ada]
        roles = ["writer"]
        password = "{}"
        tokens = [{{ name = "test", sha256 = "6c1d6cedf276ea3fd7486a212fd62b32fbb9ecaa4dea70545486737199dd24ed" }}]
        "#,
        hash("changeit")
    );
    std::fs::write(folder.path().join("users.toml"), users).unwrap();
    let options = [
        "--store",
        "memory",
        "--bind-addr",
        "127.0.0.1:0",
        "--users",
        "users.toml",
    ];
    let server = Server::start(folder.path(), &options);
    let to = |credentials: &str| {
        connect(&format!(
            "kurrentdb://{credentials}{}?tls=false",
            server.address
        ))
    };
    let append =
        async |client: &kurrentdb::Client, stream: &str, options: &AppendToStreamOptions| {
            client.append_to_stream(stream, options, events(0..1)).await
        };
    let default = AppendToStreamOptions::default;
    let ada = to("ada:changeit@");
    append(&ada, "hive-1", &default()).await.unwrap();
    let mut read = ada
        .read_stream("hive-1", &Default::default())
        .await
        .unwrap();
    assert!(read.next().await.unwrap().is_some());
    let denied = append(&ada, "shop-1", &default()).await;
    assert!(matches!(denied, Err(Error::AccessDenied)), "{denied:?}");

    let nobody = to("");
    let denied = append(&nobody, "hive-1", &default()).await;
    assert!(matches!(denied, Err(Error::AccessDenied)), "{denied:?}");
    let mistaken = to("ada:wrong@");
    let denied = append(&mistaken, "hive-1", &default()).await;
    assert!(matches!(denied, Err(Error::AccessDenied)), "{denied:?}");
    for authentication in [
        Authentication::from(Credentials::new("ada", "changeit")),
        Authentication::bearer("conformance"),
    ] {
        let options = default().authenticated(authentication);
        append(&mistaken, "hive-1", &options).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_is_discovered_by_gossip() {
    let address = std::env::var("EVENT_STORE_ADDRESS").unwrap();
    let port = address.rsplit_once(':').unwrap().1;
    for connection in [
        format!("kurrentdb://127.0.0.1:{port},127.0.0.1:{port}?tls=false"),
        format!("esdb+discover://127.0.0.1:{port}?tls=false"),
        format!("esdb://{address}?tls=false&nodePreference=random"),
    ] {
        let client = connect(&connection);
        let written =
            within(client.append_to_stream(new_name("hive"), &Default::default(), events(0..1)))
                .await;
        assert!(written.is_ok(), "{connection}: {written:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_server_is_a_connection_error() {
    // Port 9 of this machine has no server.
    let client = connect("esdb://127.0.0.1:9?tls=false&maxDiscoverAttempts=1");
    let refused =
        within(client.append_to_stream(new_name("hive"), &Default::default(), events(0..1))).await;
    assert!(
        matches!(refused, Err(Error::GrpcConnectionError(_))),
        "{refused:?}"
    );
}
