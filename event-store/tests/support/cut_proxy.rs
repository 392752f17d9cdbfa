//! [`CutProxy`]: a TCP proxy that cuts all connections on command, and whose server can be replaced.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy on an address of its own, so that no other process can take the address of a server that restarts.
pub struct CutProxy {
    /// The address of the proxy, with its scheme.
    pub url: String,
    /// The address of the server. Each change cuts all connections.
    server: watch::Sender<SocketAddr>,
}

impl CutProxy {
    /// Starts a proxy for the server at `server`.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (server, current) = watch::channel(server);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, current.clone()));
            }
        });
        Self { url, server }
    }

    /// Cuts all connections. Bytes that one side has sent may not have reached the other side.
    pub fn cut(&self) {
        self.server.send_modify(|_| {});
    }

    /// Cuts all connections, and forwards new ones to the server at `server`.
    pub fn replace_server(&self, server: SocketAddr) {
        self.server.send_replace(server);
    }
}

async fn forward(mut client: TcpStream, mut current: watch::Receiver<SocketAddr>) {
    let address = *current.borrow_and_update();
    // While the server is down, the connection of the client is closed.
    let Ok(mut server) = TcpStream::connect(address).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = current.changed() => {}
    }
}
