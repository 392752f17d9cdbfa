//! [`WebhookDispatcher`]: a worker for each webhook.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use factum::store::error_chain;
use factum::{Engine, InMemory};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use super::client::DeliveryClient;
use super::schedule::RetrySchedule;
use super::sender::Sender;
use super::signature::SecretKey;
use super::worker::Worker;
use crate::webhooks::directory::{WebhookDirectory, WebhookView};
use crate::webhooks::domain::WebhookId;

/// The deliveries of all webhooks on this node.
pub struct WebhookDispatcher {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl WebhookDispatcher {
    /// Starts a worker for each webhook of `directory`.
    #[must_use]
    pub fn start(
        engine: Engine,
        directory: InMemory<WebhookDirectory>,
        client: DeliveryClient,
        key: SecretKey,
        schedule: RetrySchedule,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let workers = Workers {
            sender: Arc::new(Sender {
                engine,
                client,
                key,
            }),
            schedule,
            node: Uuid::now_v7(),
            stop: stopped,
            views: HashMap::new(),
            tasks: JoinSet::new(),
        };
        let task = tokio::spawn(workers.run(directory));
        Self { stop, task }
    }

    /// Stops the deliveries, and stores their progress, so that another node can continue at once.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // An error means that the task panicked, which is logged.
        let _ = self.task.await;
    }
}

/// The workers of this node.
struct Workers {
    sender: Arc<Sender>,
    schedule: RetrySchedule,
    node: Uuid,
    stop: watch::Receiver<bool>,
    views: HashMap<WebhookId, watch::Sender<Arc<WebhookView>>>,
    tasks: JoinSet<()>,
}

impl Workers {
    async fn run(mut self, directory: InMemory<WebhookDirectory>) {
        let mut live = pin!(directory.live(WebhookDirectory::all));
        let mut stop = self.stop.clone();
        loop {
            let next = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                next = live.next() => next,
            };
            match next {
                Some(Ok((webhooks, _))) => {
                    self.views.retain(|id, _| webhooks.contains_key(id));
                    for view in webhooks.values() {
                        self.update(view);
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(
                        error = error_chain(&error),
                        "webhooks are no longer followed"
                    );
                    break;
                }
                None => break,
            }
            while self.tasks.try_join_next().is_some() {}
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Passes a webhook to its worker, or starts one.
    fn update(&mut self, view: &Arc<WebhookView>) {
        if let Some(views) = self.views.get(&view.id) {
            views.send_if_modified(|known| {
                let is_new = known.revision != view.revision;
                known.clone_from(view);
                is_new
            });
            return;
        }
        let (views, receiver) = watch::channel(view.clone());
        self.views.insert(view.id, views);
        let worker = Worker {
            sender: self.sender.clone(),
            schedule: self.schedule,
            node: self.node,
            views: receiver,
            stop: self.stop.clone(),
        };
        self.tasks.spawn(worker.run());
    }
}
