//! [`Proxy`]: a proxy between a store and the server that can cut a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use factum_postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// The point at which the connection of the next request with the marker is cut, once.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Cut {
    Nowhere = 0,
    /// The server does not receive the request.
    Request = 1,
    /// The server has executed the request, and the response is lost.
    Response = 2,
}

pub struct Proxy {
    cut: Arc<AtomicU8>,
    _dir: TempDir,
}

impl Proxy {
    /// Starts a proxy for `server`, and returns it with its address; it looks for `marker` in requests.
    pub async fn start(server: PgConnectOptions, marker: &'static str) -> (Self, PgConnectOptions) {
        let dir = tempfile::tempdir().unwrap();
        let socket = format!(".s.PGSQL.{}", server.get_port());
        let listener = UnixListener::bind(dir.path().join(&socket)).unwrap();
        let cut = Arc::new(AtomicU8::new(Cut::Nowhere as u8));
        let address = server.clone().socket(dir.path());
        let proxy = Self {
            cut: cut.clone(),
            _dir: dir,
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let link = Link {
                    marker: marker.as_bytes(),
                    cut: cut.clone(),
                };
                match server.get_socket() {
                    Some(dir) => {
                        let server = UnixStream::connect(dir.join(&socket)).await.unwrap();
                        tokio::spawn(link.forward(client, server));
                    }
                    None => {
                        let address = (server.get_host(), server.get_port());
                        let server = TcpStream::connect(address).await.unwrap();
                        tokio::spawn(link.forward(client, server));
                    }
                }
            }
        });
        (proxy, address)
    }

    pub fn cut(&self, point: Cut) {
        self.cut.store(point as u8, SeqCst);
    }

    /// Returns whether the connection was cut since the last call of [`cut`](Self::cut).
    pub fn has_cut(&self) -> bool {
        self.cut.load(SeqCst) == Cut::Nowhere as u8
    }
}

struct Link {
    marker: &'static [u8],
    cut: Arc<AtomicU8>,
}

impl Link {
    async fn forward(
        self,
        client: impl AsyncRead + AsyncWrite,
        server: impl AsyncRead + AsyncWrite,
    ) {
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_server, mut to_server) = tokio::io::split(server);
        let (mut request, mut response) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut marked = false;
        loop {
            tokio::select! {
                read = from_client.read(&mut request) => {
                    let Ok(bytes @ 1..) = read else { return };
                    let mut windows = request[..bytes].windows(self.marker.len());
                    marked = windows.any(|window| window == self.marker);
                    if marked && self.take(Cut::Request) {
                        return;
                    }
                    to_server.write_all(&request[..bytes]).await.unwrap();
                }
                read = from_server.read(&mut response) => {
                    let Ok(bytes @ 1..) = read else { return };
                    if marked && self.take(Cut::Response) {
                        return;
                    }
                    if to_client.write_all(&response[..bytes]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Returns whether to cut at `point`, and resets the proxy if so.
    fn take(&self, point: Cut) -> bool {
        let nowhere = Cut::Nowhere as u8;
        let exchanged = self
            .cut
            .compare_exchange(point as u8, nowhere, SeqCst, SeqCst);
        exchanged.is_ok()
    }
}
