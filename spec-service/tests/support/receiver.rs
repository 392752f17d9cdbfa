//! A receiver of webhooks in the test process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A delivery as the receiver got it.
#[derive(Clone)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("the header is ASCII")
    }

    pub fn spec(&self) -> String {
        self.event()["subject"]
            .as_str()
            .expect("a subject")
            .to_owned()
    }

    pub fn position(&self) -> u64 {
        self.event()["data"]["position"]
            .as_u64()
            .expect("a position")
    }
}

type Respond = dyn Fn(&Received) -> Response + Send + Sync;

/// A receiver on a free port. It stops when it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
    received: watch::Receiver<Vec<Received>>,
    respond: Arc<Mutex<Arc<Respond>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver that accepts everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the listener binds");
        let address = listener.local_addr().expect("the listener has an address");
        let (sender, received) = watch::channel(Vec::new());
        let accept: Arc<Respond> = Arc::new(|_| status(204));
        let respond = Arc::new(Mutex::new(accept));
        let shared = respond.clone();
        let handle = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let delivery = Received {
                path: uri.path().to_owned(),
                headers,
                body,
            };
            let respond = shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let response = respond(&delivery);
            sender.send_modify(|received| received.push(delivery));
            response
        };
        let router = Router::new().fallback(handle);
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the receiver serves");
        });
        Self {
            address,
            received,
            respond,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Changes the response to later deliveries.
    pub fn respond(&self, respond: impl Fn(&Received) -> Response + Send + Sync + 'static) {
        *self.respond.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(respond);
    }

    /// Waits until the deliveries fulfil `condition`, and returns them.
    pub async fn wait_for(&self, condition: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut received = self.received.clone();
        let fulfilled = received.wait_for(|received| condition(received));
        let limit = std::time::Duration::from_secs(60);
        let fulfilled = tokio::time::timeout(limit, fulfilled).await;
        match fulfilled {
            Ok(fulfilled) => fulfilled.expect("the receiver runs").clone(),
            Err(_) => panic!(
                "the condition is not fulfilled: {} deliveries",
                self.all().len()
            ),
        }
    }

    pub async fn wait_for_count(&self, count: usize) -> Vec<Received> {
        self.wait_for(|received| received.len() >= count).await
    }

    pub fn all(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn status(code: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code.try_into().expect("a valid status");
    response
}

/// Returns the positions of the first delivery of each event, by specification, in the order of arrival.
pub fn first_arrivals(received: &[Received]) -> HashMap<String, Vec<u64>> {
    let mut arrivals: HashMap<String, Vec<u64>> = HashMap::new();
    for delivery in received {
        let positions = arrivals.entry(delivery.spec()).or_default();
        if !positions.contains(&delivery.position()) {
            positions.push(delivery.position());
        }
    }
    arrivals
}
