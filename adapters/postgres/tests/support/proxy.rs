//! Stands between a store and the server, and cuts the wire on order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use factum_postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// Where the wire is cut, once, under the next request that holds the marker.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Cut {
    Nowhere = 0,
    /// The server never sees the request.
    Request = 1,
    /// The server has done it; the answer does not arrive.
    Answer = 2,
}

pub(crate) struct Proxy {
    cut: Arc<AtomicU8>,
    _dir: TempDir,
}

impl Proxy {
    /// The way to `server` through a proxy, which looks for `marker`.
    pub(crate) async fn before(
        server: PgConnectOptions,
        marker: &'static str,
    ) -> (Self, PgConnectOptions) {
        let dir = tempfile::tempdir().unwrap();
        let socket = format!(".s.PGSQL.{}", server.get_port());
        let listener = UnixListener::bind(dir.path().join(&socket)).unwrap();
        let cut = Arc::new(AtomicU8::new(Cut::Nowhere as u8));
        let here = server.clone().socket(dir.path());
        let proxy = Self {
            cut: cut.clone(),
            _dir: dir,
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let wire = Wire {
                    marker: marker.as_bytes(),
                    cut: cut.clone(),
                };
                match server.get_socket() {
                    Some(dir) => {
                        let server = UnixStream::connect(dir.join(&socket)).await.unwrap();
                        tokio::spawn(wire.carry(client, server));
                    }
                    None => {
                        let address = (server.get_host(), server.get_port());
                        let server = TcpStream::connect(address).await.unwrap();
                        tokio::spawn(wire.carry(client, server));
                    }
                }
            }
        });
        (proxy, here)
    }

    pub(crate) fn cut(&self, place: Cut) {
        self.cut.store(place as u8, SeqCst);
    }

    /// Whether the wire was cut since it was ordered.
    pub(crate) fn has_cut(&self) -> bool {
        self.cut.load(SeqCst) == Cut::Nowhere as u8
    }
}

struct Wire {
    marker: &'static [u8],
    cut: Arc<AtomicU8>,
}

impl Wire {
    async fn carry(self, client: impl AsyncRead + AsyncWrite, server: impl AsyncRead + AsyncWrite) {
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_server, mut to_server) = tokio::io::split(server);
        let (mut request, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut marked = false;
        loop {
            tokio::select! {
                read = from_client.read(&mut request) => {
                    let Ok(bytes @ 1..) = read else { return };
                    let mut windows = request[..bytes].windows(self.marker.len());
                    marked = windows.any(|window| window == self.marker);
                    if marked && self.is_ordered(Cut::Request) {
                        return;
                    }
                    to_server.write_all(&request[..bytes]).await.unwrap();
                }
                read = from_server.read(&mut answer) => {
                    let Ok(bytes @ 1..) = read else { return };
                    if marked && self.is_ordered(Cut::Answer) {
                        return;
                    }
                    if to_client.write_all(&answer[..bytes]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn is_ordered(&self, place: Cut) -> bool {
        let nowhere = Cut::Nowhere as u8;
        let exchanged = self
            .cut
            .compare_exchange(place as u8, nowhere, SeqCst, SeqCst);
        exchanged.is_ok()
    }
}
