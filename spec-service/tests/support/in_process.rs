//! The gRPC API on a socket of its own, in the process of the test, with a list that answers as the test wants.

use std::time::Duration;

use async_trait::async_trait;
use factum::{Engine, Projections};
use factum_memory::MemoryStore;
use spec_service::app::{AppError, ListPage, ListQuery, SpecList, Specs};
use spec_service::grpc::generated::spec_service_client::SpecServiceClient;
use spec_service::grpc::{Grpc, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

/// How the list answers; the state that is asked for may matter to a test, the page does not.
#[derive(Clone, Copy)]
pub(crate) enum List {
    Empty,
    Contended,
    Unavailable,
    Broken,
    Panicking,
    Silent,
}

#[async_trait]
impl SpecList for List {
    async fn page(&self, query: ListQuery) -> Result<ListPage, AppError> {
        match self {
            // A list of nothing for whoever asks for a state, so that one server gives both answers.
            _ if query.state.is_some() => Ok(nothing()),
            Self::Empty => Ok(nothing()),
            Self::Contended => Err(AppError::Contended),
            Self::Unavailable => Err(AppError::Unavailable("disk 7 is gone".into())),
            Self::Broken => Err(AppError::Internal("page 9 is torn".into())),
            Self::Panicking => panic!("the list gives up"),
            Self::Silent => std::future::pending().await,
        }
    }
}

fn nothing() -> ListPage {
    ListPage {
        specs: Vec::new(),
        total: 0,
        next: None,
    }
}

pub(crate) struct InProcess {
    pub(crate) channel: Channel,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) stop: watch::Sender<bool>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl InProcess {
    pub(crate) async fn start(list: List) -> Self {
        Self::start_with(list, Duration::from_secs(30)).await
    }

    pub(crate) async fn start_with(list: List, timeout: Duration) -> Self {
        let engine = Engine::new(MemoryStore::new());
        let projections = Projections::builder(&engine).start();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let (stopping, about_to_stop) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let grpc = Grpc {
            specs: Specs::new(engine, projections, list),
            max_content: 2048,
            timeout,
            stopping: about_to_stop,
            stop: stopped,
        };
        let serving = tokio::spawn(serve(listener, grpc));
        let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint.connect().await.expect("a connection");
        Self {
            channel,
            stopping,
            stop,
            serving,
        }
    }

    pub(crate) fn client(&self) -> SpecServiceClient<Channel> {
        SpecServiceClient::new(self.channel.clone())
    }

    /// Stops the server, and waits until every call has ended.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        drop(self.channel);
        let served = self.serving.await.expect("the server ends");
        served.expect("the server ends well");
    }
}
