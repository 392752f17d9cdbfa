//! A web application on one SQLite file, with personal data, metrics, logs and a graceful shutdown.
//!
//! ```sh
//! export MASTER_KEY=$(openssl rand -base64 32)
//! cargo run --example application -- members.db 127.0.0.1:3000
//! ```

use std::env;
use std::error::Error;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use factum::metrics::{ALL, MetricKind};
use factum::prelude::*;
use factum::privacy::{DocumentKeys, PersonalDataStore};
use factum::store::error_chain;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

/// The maximum time that a request waits for the list.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

// The domain.

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "member")]
enum MemberEvent {
    Joined {
        #[personal]
        name: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "member", id = Uuid, event = MemberEvent)]
struct Member {
    name: Option<String>,
}

impl Apply<MemberEvent> for Member {
    fn apply(&mut self, event: &MemberEvent) {
        let MemberEvent::Joined { name } = event;
        self.name = Some(name.clone());
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the member exists already")]
struct AlreadyJoined;

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Member)]
struct Join {
    #[id]
    member: Uuid,
    name: String,
}

impl Decide for Join {
    type Error = AlreadyJoined;

    fn decide(&self, member: &Member) -> Result<Events<MemberEvent>, AlreadyJoined> {
        if member.name.is_some() {
            return Err(AlreadyJoined);
        }
        let name = self.name.clone();
        Ok(MemberEvent::Joined { name }.into())
    }
}

/// The ids of the members. The table has no names, so an erasure leaves no plain text in it.
#[derive(Projection)]
#[projection(name = "members", events = MemberEvent)]
struct Members;

impl SqlProjection for Members {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        let sql =
            "create table if not exists {member} (id text primary key, joined bigint not null)";
        db.execute(sql).await
    }
}

impl SqlProject<MemberEvent> for Members {
    async fn project(
        &self,
        event: &Recorded<MemberEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let insert = db.query("insert into {member} (id, joined) values ($1, $2)");
        let insert = insert.bind(event.record.stream.key());
        insert.bind(event.record.position).execute().await?;
        Ok(())
    }
}

// The HTTP API.

/// The state of the application. Clones share it.
#[derive(Clone)]
struct App {
    engine: Engine,
    store: PersonalDataStore<SqliteStore>,
    runtime: Arc<Runtime>,
    metrics: PrometheusHandle,
}

/// A request that failed.
struct Failure(StatusCode, String);

impl Failure {
    /// Logs an error whose details do not belong into the answer.
    fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %error_chain(error), "request failed");
        let text = "the server has an error".to_owned();
        Self(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

#[derive(Deserialize)]
struct NewMember {
    id: Uuid,
    name: String,
}

/// Adds a member, and waits until the list shows it.
async fn join(State(app): State<App>, Json(new): Json<NewMember>) -> Result<StatusCode, Failure> {
    let (member, name) = (new.id, new.name);
    let receipt = match app.engine.execute(Join { member, name }).await {
        Ok(receipt) => receipt,
        Err(ExecuteError::Rejected(rejection)) => {
            return Err(Failure(StatusCode::CONFLICT, rejection.to_string()));
        }
        Err(error) => return Err(Failure::internal(&error)),
    };
    let members = app.runtime.projection::<Members>();
    let members = members.map_err(|error| Failure::internal(&error))?;
    let listed = tokio::time::timeout(LIST_TIMEOUT, members.wait_for(receipt.position())).await;
    // The member is stored in any case.
    if !matches!(listed, Ok(Ok(()))) {
        tracing::warn!(position = %receipt.position(), "the list does not show the member yet");
    }
    Ok(StatusCode::CREATED)
}

/// Returns the ids of the members.
async fn list(State(app): State<App>) -> Result<Json<Vec<String>>, Failure> {
    let query = app
        .store
        .store()
        .query("select id from member order by joined");
    let ids = query.fetch_all::<String>().await;
    Ok(Json(ids.map_err(|error| Failure::internal(&error))?))
}

/// Returns the name of a member.
async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Result<String, Failure> {
    let member = app.engine.load::<Member>(&id).await;
    let member = member.map_err(|error| Failure::internal(&error))?;
    let unknown = || Failure(StatusCode::NOT_FOUND, "unknown member".to_owned());
    member.name.clone().ok_or_else(unknown)
}

/// Erases the personal data of a member.
async fn erase(State(app): State<App>, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    let erased = app.store.erase(id).await;
    let erased = erased.map_err(|error| Failure::internal(&error))?;
    // Tables with names would also need `runtime.rebuild_erased(&erased.event_types)`.
    app.engine.evict(&erased.streams);
    Ok(StatusCode::NO_CONTENT)
}

/// Returns all metrics, in the text format of Prometheus.
async fn metrics(State(app): State<App>) -> String {
    if let Err(error) = factum::metrics::measure(&app.engine, &app.runtime).await {
        tracing::warn!(%error, "cannot measure the lag of the consumers");
    }
    app.metrics.render()
}

fn router(app: App) -> Router {
    Router::new()
        .route("/members", get(list).post(join))
        .route("/members/{id}", get(show).delete(erase))
        .route("/metrics", get(metrics))
        .with_state(app)
}

// The program.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // 1. Logs and metrics, before anything records them.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let metrics = install_exporter()?;

    // 2. Two stores: the events with their tables, and the keys of personal data.
    let mut arguments = env::args().skip(1);
    let file = PathBuf::from(arguments.next().unwrap_or_else(|| "members.db".to_owned()));
    let address = arguments.next();
    let address = address.unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let master = env::var("MASTER_KEY").context("MASTER_KEY is not set")?;
    let keys = SqliteStore::open(file.with_extension("keys.db")).await?;
    let events = SqliteStore::open(&file).await?;
    let subject_keys = DocumentKeys::open(keys.clone(), master.parse()?).await?;
    let store = PersonalDataStore::open(events.clone(), subject_keys).await?;

    // 3. The engine and the runtime. Tables are in the inner store.
    let engine = Engine::new(store.clone());
    let runtime = Runtime::builder(&engine)
        .projection(events.read_model(Members))
        .start()
        .await?;
    let runtime = Arc::new(runtime);
    // `start` does not wait: until here, the table may not exist, and a read model may be incomplete.
    runtime.wait_until_current().await?;
    let evictions = store
        .clone()
        .evict_erased(engine.clone(), Duration::from_secs(1));
    let evictions = tokio::spawn(evictions);

    // 4. The server, until a signal. Requests in flight finish.
    let app = App {
        engine,
        store,
        runtime: runtime.clone(),
        metrics,
    };
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| format!("cannot bind {address}"))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    axum::serve(listener, router(app))
        .with_graceful_shutdown(shutdown_signal())
        .await?;

    // 5. The end, in reverse order: nothing uses a store that is closed.
    evictions.abort();
    runtime.stop().await;
    events.close().await;
    keys.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Installs the exporter of metrics, with buckets for the histograms.
fn install_exporter() -> anyhow::Result<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for metric in ALL {
        if let MetricKind::Histogram(bounds) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, bounds)?;
        }
    }
    let exporter = builder.install_recorder()?;
    factum::metrics::describe();
    let upkeep = exporter.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(exporter)
}

/// Waits for Ctrl-C, or for the signal with which containers and service managers stop a program.
#[cfg(unix)]
async fn shutdown_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be handled");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn shutdown_signal() {
    tokio::signal::ctrl_c()
        .await
        .expect("signals can be handled");
}
