//! The conformance suite over the wire, on each backend of the server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../postgres/tests/support/server.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod postgres_server;

use std::net::SocketAddr;
use std::sync::Arc;

use event_store::access::Stores;
use event_store::server;
use event_store::serving::Serving;
use factum::store::Store;
use factum_grpc::GrpcStore;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A server in this process, which stops when it is dropped.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

impl Server {
    async fn start(store: impl Store) -> Self {
        Self::serve(Stores::unprotected(Arc::new(store))).await
    }

    async fn serve(stores: Stores) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = Serving::new(stores, "test", stopped);
        let task = tokio::spawn(async move {
            server::serve(vec![listener], serving).await.unwrap();
        });
        Self {
            address,
            task,
            _stop: stop,
        }
    }

    async fn open(&self) -> GrpcStore {
        let url = format!("http://{}", self.address);
        GrpcStore::open(&url).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

mod memory {
    use super::{GrpcStore, Server};
    use factum_memory::MemoryStore;

    struct Memory(Server);

    impl factum_testkit::Backend for Memory {
        type Store = GrpcStore;

        async fn create() -> Self {
            Self(Server::start(MemoryStore::new()).await)
        }

        async fn open(&self) -> GrpcStore {
            self.0.open().await
        }
    }

    factum_testkit::conformance_suite!(Memory);
}

/// The checks of access control change nothing for a user with every permission.
mod memory_with_users {
    use std::sync::Arc;

    use super::{GrpcStore, Server, Stores};
    use factum_grpc::GrpcOptions;
    use factum_memory::MemoryStore;

    /// The token `conformance` of an administrator, by its SHA-256.
    const USERS: &str = r#"
        [roles.admin]
        admin = true
        [users.root]
        roles = ["admin"]
        tokens = [{ name = "test", sha256 = "6c1d6cedf276ea3fd7486a212fd62b32fbb9ecaa4dea70545486737199dd24ed" }]
    "#;

    struct MemoryWithUsers(Server);

    impl factum_testkit::Backend for MemoryWithUsers {
        type Store = GrpcStore;

        async fn create() -> Self {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), USERS).unwrap();
            let store = Arc::new(MemoryStore::new());
            let stores = Stores::with_users(store, file.path()).unwrap();
            Self(Server::serve(stores).await)
        }

        async fn open(&self) -> GrpcStore {
            let url = format!("http://{}", self.0.address);
            GrpcOptions::new(url)
                .token("conformance")
                .open()
                .await
                .unwrap()
        }
    }

    factum_testkit::conformance_suite!(MemoryWithUsers);
}

mod sqlite {
    use super::{GrpcStore, Server};
    use factum_sqlite::SqliteStore;

    struct Sqlite {
        server: Server,
        _dir: tempfile::TempDir,
    }

    impl factum_testkit::Backend for Sqlite {
        type Store = GrpcStore;

        async fn create() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(dir.path().join("events.db"))
                .await
                .unwrap();
            Self {
                server: Server::start(store).await,
                _dir: dir,
            }
        }

        async fn open(&self) -> GrpcStore {
            self.server.open().await
        }
    }

    factum_testkit::conformance_suite!(Sqlite);
}

mod postgres {
    use super::{GrpcStore, Server, postgres_server};

    struct Postgres(Server);

    impl factum_testkit::Backend for Postgres {
        type Store = GrpcStore;

        fn available() -> bool {
            postgres_server::fresh().is_some()
        }

        async fn create() -> Self {
            let options = postgres_server::fresh().unwrap();
            Self(Server::start(options.open().await.unwrap()).await)
        }

        async fn open(&self) -> GrpcStore {
            self.0.open().await
        }
    }

    factum_testkit::conformance_suite!(Postgres);
}
