//! An HTTP/2 client on a raw socket, for frames that a client library does not send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const SETTINGS: u8 = 0x4;
pub const PING: u8 = 0x6;

/// The flag of the last frame of a stream, in [`DATA`] and [`HEADERS`].
pub const END_STREAM: u8 = 0x1;
/// The flag of an acknowledgement, in [`SETTINGS`] and [`PING`].
pub const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub struct RawHttp2 {
    socket: TcpStream,
    next_stream: u32,
}

impl RawHttp2 {
    /// Connects, and sends the preface with `settings`, pairs of identifiers and values.
    pub async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut socket = TcpStream::connect(address)
            .await
            .expect("the server accepts");
        socket.set_nodelay(true).expect("the option is supported");
        let mut start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let settings = settings.iter().flat_map(|(id, value)| {
            let mut entry = id.to_be_bytes().to_vec();
            entry.extend(value.to_be_bytes());
            entry
        });
        start.extend(frame(SETTINGS, 0, 0, &settings.collect::<Vec<_>>()));
        socket.write_all(&start).await.expect("the server reads");
        Self {
            socket,
            next_stream: 1,
        }
    }

    /// Sends a call with a message after a ping, and returns the number of its stream.
    pub async fn ping_and_call(&mut self, path: &str, message: &[u8]) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let mut data = vec![0];
        data.extend(
            u32::try_from(message.len())
                .expect("the message is short")
                .to_be_bytes(),
        );
        data.extend(message);
        let mut frames = frame(PING, 0, 0, &[7; 8]);
        frames.extend(frame(HEADERS, END_HEADERS, stream, &head(path)));
        frames.extend(frame(DATA, END_STREAM, stream, &data));
        self.send(&frames).await;
        stream
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.socket
            .write_all(bytes)
            .await
            .expect("the server reads");
    }

    /// Returns the next frame, or `None` after the server closed the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.socket.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    }

    /// Reads frames until `stream` ends.
    pub async fn wait_for_end(&mut self, stream: u32) {
        loop {
            let frame = self.next().await.expect("the server responds");
            let may_end = matches!(frame.kind, DATA | HEADERS) && frame.stream == stream;
            if may_end && frame.flags & END_STREAM != 0 {
                return;
            }
        }
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("the payload is short");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Encodes the header fields of a call as literals without indexing (RFC 7541, 6.2.2).
fn head(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("the text is short"));
            block.extend(text.as_bytes());
        }
    }
    block
}
