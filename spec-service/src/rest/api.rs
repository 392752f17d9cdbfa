//! [`Api`]: the state that the handlers of the REST API share.

use std::time::Duration;

use tokio::sync::watch;

use crate::app::Application;
use crate::audit::Audit;
use crate::bulk::Bulk;
use crate::changes::ChangeFeed;
use crate::search::Search;
use crate::specs::app::Specs;
use crate::transfer::ImportExport;
use crate::webhooks::app::Webhooks;
use factum_server::metrics::Exporter;

/// The state and settings of the REST API.
#[derive(Clone)]
pub struct Api {
    /// The parts that all capabilities share.
    pub app: Application,
    /// The specifications.
    pub specs: Specs,
    /// The webhooks.
    pub webhooks: Webhooks,
    /// The audit report.
    pub audit: Audit,
    /// The streams of changes.
    pub changes: ChangeFeed,
    /// The search index.
    pub search: Search,
    /// The changes of many specifications.
    pub bulk: Bulk,
    /// Import and export.
    pub transfer: ImportExport,
    /// The maximum size of a content in bytes. A request body can be larger because of JSON escapes.
    pub max_content: usize,
    /// The maximum lag of a projection, in events, for the service to be ready.
    pub ready_lag: u64,
    /// Becomes `true` when shutdown begins. The service is then not ready.
    pub stopping: watch::Receiver<bool>,
    /// The timeout of a request.
    pub timeout: Duration,
    /// The exporter for `GET /metrics`. `None` removes the route.
    pub metrics: Option<Exporter>,
}
