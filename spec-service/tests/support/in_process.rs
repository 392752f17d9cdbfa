//! The gRPC API in the test process, with a list that responds as the test requires.

#[path = "no_index.rs"]
mod no_index;

use std::time::Duration;

use async_trait::async_trait;
use factum::{Engine, InMemory, Runtime};
use factum_memory::MemoryStore;
use factum_server::net::ConnectionLimits;
use spec_service::access::domain::TenantId;
use spec_service::app::{AppError, Application};
use spec_service::audit::Audit;
use spec_service::bulk::Bulk;
use spec_service::grpc::generated::spec_service_client::SpecServiceClient;
use spec_service::grpc::{Grpc, serve};
use spec_service::search::Search;
use spec_service::specs::app::{ListPage, ListQuery, SpecList, Specs};
use spec_service::transfer::ImportExport;
use spec_service::webhooks::app::Webhooks;
use spec_service::webhooks::delivery::SecretKey;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use no_index::NoIndex;

/// A list with a fixed response.
#[derive(Clone, Copy)]
pub enum StubList {
    Empty,
    Contended,
    Unavailable,
    Broken,
    Panicking,
    Silent,
}

#[async_trait]
impl SpecList for StubList {
    async fn page(&self, _: &TenantId, query: ListQuery) -> Result<ListPage, AppError> {
        match self {
            // A query with a state gets an empty page, so that one server can return both responses.
            _ if query.state.is_some() => Ok(empty_page()),
            Self::Empty => Ok(empty_page()),
            Self::Contended => Err(AppError::Contended),
            Self::Unavailable => Err(AppError::Unavailable("disk 7 is gone".into())),
            Self::Broken => Err(AppError::Internal("page 9 is torn".into())),
            Self::Panicking => panic!("the stub list panics"),
            Self::Silent => std::future::pending().await,
        }
    }
}

fn empty_page() -> ListPage {
    ListPage {
        specs: Vec::new(),
        total: 0,
        next: None,
    }
}

pub struct InProcess {
    pub channel: Channel,
    pub stopping: watch::Sender<bool>,
    pub stop: watch::Sender<bool>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl InProcess {
    pub async fn start(list: StubList) -> Self {
        Self::start_with(list, Duration::from_secs(30)).await
    }

    pub async fn start_with(list: StubList, timeout: Duration) -> Self {
        let engine = Engine::new(MemoryStore::new());
        let runtime = Runtime::builder(&engine).start().await;
        let runtime = runtime.expect("the runtime starts");
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the listener binds");
        let address = listener.local_addr().expect("the listener has an address");
        let (stopping, about_to_stop) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let app = Application::new(engine, runtime);
        let key = SecretKey::new([0; 32]);
        let specs = Specs::new(app.clone(), list);
        let grpc = Grpc {
            audit: Audit::new(app.clone()),
            webhooks: Webhooks::new(app.clone(), InMemory::new(), key),
            transfer: ImportExport::new(
                app.clone(),
                specs.clone(),
                Bulk::new(app.clone(), 2_048),
                2_048,
            ),
            specs,
            search: Search::new(app.clone(), NoIndex),
            bulk: Bulk::new(app, 2_048),
            max_content: 2048,
            timeout,
            limits: ConnectionLimits::default(),
            max_watches: 2,
            stopping: about_to_stop,
            stop: stopped,
        };
        let serving = tokio::spawn(serve(listener, grpc));
        let endpoint =
            Channel::from_shared(format!("http://{address}")).expect("the address is valid");
        let channel = endpoint.connect().await.expect("the client connects");
        Self {
            channel,
            stopping,
            stop,
            serving,
        }
    }

    pub fn client(&self) -> SpecServiceClient<Channel> {
        SpecServiceClient::new(self.channel.clone())
    }

    /// Stops the server and waits until all calls have ended.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        drop(self.channel);
        let served = self
            .serving
            .await
            .expect("the server task ends without panic");
        served.expect("the server ends without error");
    }
}
