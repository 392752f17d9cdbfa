//! Client certificates as credentials.

use std::fs;

use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::authority::{Authority, Issued};
use crate::server::{ADMIN, Authorization, Events, Server, append, user};

/// Returns a client with a certificate.
fn client(server: &Server, ca: &Authority, issued: &Issued, header: Authorization) -> Events {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&ca.pem))
        .identity(Identity::from_pem(&issued.certificate, &issued.key));
    let endpoint = Endpoint::from_shared(server.url.clone()).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect_lazy();
    EventStoreServiceClient::with_interceptor(channel, header)
}

#[tokio::test]
async fn common_name_of_a_certificate_belongs_to_one_user() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let issued = servers.server();
    fs::write(dir.path().join("server.pem"), &issued.certificate).unwrap();
    fs::write(dir.path().join("server.key"), &issued.key).unwrap();
    fs::write(dir.path().join("clients.pem"), &clients.pem).unwrap();
    let users = format!(
        "{}{}[roles.writer]\nappend = [\"order-\"]\n[users.shop]\nroles = [\"writer\"]\ncertificate = \"shop.example\"\n",
        *ADMIN,
        user("ada", "")
    );
    let settings = [
        ("TLS_CERT", "server.pem"),
        ("TLS_KEY", "server.key"),
        ("TLS_CLIENT_CA", "clients.pem"),
    ];
    let server = Server::start_in(dir, &users, &settings);
    let shop = clients.client("shop.example");
    let mut of_shop = client(&server, &servers, &shop, Authorization::none());
    of_shop.append(append(&["order-1"])).await.unwrap();
    let denied = of_shop.append(append(&["cart-1"])).await.unwrap_err();
    assert!(denied.message().contains(r#"user "shop""#), "{denied}");

    // A header takes precedence over the certificate, also if it is not valid.
    let mut of_ada = client(&server, &servers, &shop, Authorization::token_of("ada"));
    let denied = of_ada.append(append(&["order-1"])).await.unwrap_err();
    assert!(denied.message().contains(r#"user "ada""#), "{denied}");
    let unknown = Authorization::token_of("unknown");
    let mut of_nobody = client(&server, &servers, &shop, unknown);
    let refused = of_nobody.append(append(&["order-1"])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);

    // The name of a user is not the name of its certificate.
    for name in ["shop", "Shop.example", "root"] {
        let certificate = clients.client(name);
        let mut other = client(&server, &servers, &certificate, Authorization::none());
        let refused = other.get_head(v1::GetHeadRequest {}).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{name}");
    }
}
