//! The choice of the database, and the read models in it. Only this file uses adapters.

use std::path::Path;

use anyhow::Context as _;
use factum::Position;
use factum::prelude::*;
use factum_postgres::{PgConnectOptions, PostgresOptions, PostgresStore};
use factum_sql::{SqlDatabase, SqlDatabaseExt as _};
use factum_sqlite::SqliteStore;

use crate::app::Application;
use crate::bulk::Bulk;
use crate::search::{Search, SearchTable, SearchTableIndex};
use crate::settings::{Database, Settings};
use crate::specs::app::Specs;
use crate::specs::table::{SpecTable, SpecTableList};
use crate::transfer::ImportExport;
use crate::webhooks::WebhookDirectory;
use crate::webhooks::app::Webhooks;
use crate::webhooks::delivery::{WebhookDispatcher, load_key};

/// The capabilities, with the store that must be closed at shutdown.
pub struct Wired {
    /// The parts that all capabilities share.
    pub app: Application,
    /// The specifications.
    pub specs: Specs,
    /// The webhooks.
    pub webhooks: Webhooks,
    dispatcher: WebhookDispatcher,
    /// The search index.
    pub search: Search,
    /// The changes of many specifications.
    pub bulk: Bulk,
    /// Import and export.
    pub transfer: ImportExport,
    store: SpecStore,
}

enum SpecStore {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Wired {
    /// Opens the database, creates missing tables, and starts the projections.
    ///
    /// # Errors
    /// Returns an error if the database cannot be opened, or if it has a newer version.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let wired = match &settings.database_url {
            Database::Sqlite(file) => Self::sqlite(file, settings).await,
            Database::Postgres(url) => Self::postgres(url, settings).await,
        };
        wired.context("the database cannot be opened")
    }

    async fn sqlite(file: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let store = SqliteStore::open(file)
            .await
            .with_context(|| file.display().to_string())?;
        Self::start(store.clone(), SpecStore::Sqlite(store), settings).await
    }

    async fn postgres(url: &str, settings: &Settings) -> anyhow::Result<Self> {
        let server: PgConnectOptions = url.parse()?;
        let options = PostgresOptions::new(server).schema(&settings.database_schema);
        let store = options.open().await?;
        Self::start(store.clone(), SpecStore::Postgres(store), settings).await
    }

    /// Starts the projections, and waits until the read models can be read.
    ///
    /// If a read model cannot be created, writes still work, and the health check reports the error.
    async fn start<D>(database: D, store: SpecStore, settings: &Settings) -> anyhow::Result<Self>
    where
        D: SqlDatabase + Clone,
    {
        let engine = Engine::new(database.clone());
        let directory = InMemory::<WebhookDirectory>::new();
        let index = database.read_model(SearchTable);
        let runtime = Runtime::builder(&engine)
            .projection(database.read_model(SpecTable))
            .projection(index.clone())
            .projection(directory.clone())
            .start()
            .await?;
        if let Err(error) = runtime.wait_for(Position::ZERO).await {
            tracing::error!(%error, "the list of specifications is not available");
        }
        let key = load_key(&database).await?;
        let client = settings.webhooks.client();
        let schedule = settings.webhooks.schedule();
        let dispatcher = WebhookDispatcher::start(
            engine.clone(),
            directory.clone(),
            client,
            key.clone(),
            schedule,
        );
        let app = Application::new(engine, runtime);
        let max_content = settings.max_content_bytes;
        let specs = Specs::new(app.clone(), SpecTableList(database)).max_content(max_content);
        let bulk = Bulk::new(app.clone(), max_content);
        let webhooks = Webhooks::new(app.clone(), directory, key);
        Ok(Self {
            search: Search::new(app.clone(), SearchTableIndex(index)),
            transfer: ImportExport::new(app.clone(), specs.clone(), bulk.clone(), max_content),
            app,
            specs,
            bulk,
            webhooks,
            dispatcher,
            store,
        })
    }

    /// Stops the deliveries and the projections, waits for running writes, and closes the database.
    pub async fn close(self) {
        self.dispatcher.stop().await;
        self.app.stop().await;
        match self.store {
            SpecStore::Sqlite(store) => store.close().await,
            SpecStore::Postgres(store) => store.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use factum_sql::TrustedSql;
    use uuid::Uuid;

    use super::*;
    use crate::access::domain::{NamespaceId, TenantId};
    use crate::content::{Content, DEFAULT_MAX_BYTES};
    use crate::search::{SELECT_SQLITE, SearchIndex as _, SearchQuery};
    use crate::specs::domain::{CreateSpec, QualifiedName, SpecId, SpecName};
    use crate::specs::table::{
        IN_STATE, IN_STATE_AND_NAMESPACE, UNDELETED, UNDELETED_IN_NAMESPACE,
    };

    #[tokio::test]
    async fn pages_are_read_by_index_without_sorting() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("specs.db"))
            .await
            .unwrap();
        let engine = Engine::new(store.clone());
        let runtime = Runtime::builder(&engine).projection(store.read_model(SpecTable));
        let runtime = runtime.start().await.unwrap();
        runtime.wait_until_current().await.unwrap();
        for (sql, index, conditions) in [
            (UNDELETED, "spec_list_undeleted__1", &[][..]),
            (IN_STATE, "spec_list_by_state__1", &["draft"]),
            (
                UNDELETED_IN_NAMESPACE,
                "spec_list_undeleted_by_namespace__1",
                &["default"],
            ),
            (
                IN_STATE_AND_NAMESPACE,
                "spec_list_by_namespace__1",
                &["draft", "default"],
            ),
        ] {
            let explain: &'static str = format!("explain query plan {sql}").leak();
            let mut explain = store
                .query(explain)
                .bind(7_i64)
                .bind(51_i64)
                .bind("default");
            for condition in conditions {
                explain = explain.bind(*condition);
            }
            let plan: Vec<(i64, i64, i64, String)> = explain.fetch_all().await.unwrap();
            let plan: Vec<String> = plan.into_iter().map(|row| row.3).collect();
            let by_index = format!("SEARCH spec_list__1 USING INDEX {index}");
            assert!(
                plan.iter().any(|step| step.starts_with(&by_index)),
                "{plan:#?}"
            );
            assert!(
                !plan.iter().any(|step| step.contains("TEMP B-TREE")),
                "{plan:#?}"
            );
        }
        runtime.stop().await;
        store.close().await;
    }

    #[tokio::test]
    async fn search_index_is_rebuilt_and_read_without_sorting() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("specs.db"))
            .await
            .unwrap();
        let engine = Engine::new(store.clone());
        let index = store.read_model(SearchTable);
        let runtime = Runtime::builder(&engine).projection(index.clone());
        let runtime = runtime.start().await.unwrap();
        let create = CreateSpec {
            spec: SpecId(Uuid::now_v7()),
            path: QualifiedName {
                tenant: TenantId::default(),
                namespace: NamespaceId::default(),
                name: SpecName::parse("refund-limits").unwrap(),
            },
            author: "ann".to_owned(),
            description: None,
            content: Content::parse(b"a: 1\n", DEFAULT_MAX_BYTES).unwrap(),
            reason: None,
        };
        engine.execute(create).await.unwrap();
        runtime.wait_until_current().await.unwrap();
        runtime
            .projection_named("spec_search")
            .unwrap()
            .rebuild()
            .await
            .unwrap();
        runtime.wait_until_current().await.unwrap();
        let query = SearchQuery {
            text: "refund".parse().unwrap(),
            ..SearchQuery::default()
        };
        let rows = SearchTableIndex(index.clone())
            .rows(&TenantId::default(), &query)
            .await
            .unwrap();
        assert_eq!((rows.total, rows.rows.len()), (1, 1));

        let mut view = index.view().await.unwrap().unwrap();
        let explain = TrustedSql(format!("explain query plan {SELECT_SQLITE}"));
        let explain = view.query(explain).bind("refund").bind(0_i64);
        let plan: Vec<(i64, i64, i64, String)> =
            explain.bind(0_i64).bind(0_i64).fetch_all().await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|row| row.3).collect();
        let by_index = "SCAN spec_search_words__2 VIRTUAL TABLE INDEX";
        assert!(plan[0].starts_with(by_index), "{plan:#?}");
        let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(!sorts, "{plan:#?}");
        drop(view);
        runtime.stop().await;
        store.close().await;
    }
}
