//! [`Groups`]: the groups with consumers on this server process, one actor each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use factum::store::Store;
use factum_runtime::membership::Membership;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::actor::{self, ActorContext};
use super::catalog;
use super::consumer::{ActorCommand, ConnectedConsumer, JoinRequest, JoinedConsumer};
use super::error::GroupError;
use super::group_document::GroupName;
use super::metrics::{GroupSample, MAX_LABELS, record_samples};
use super::window::SessionId;

/// The number of requests that wait for the actor of a group.
const COMMANDS: usize = 1_024;

/// The groups with consumers on this server process. A clone shares them.
#[derive(Clone)]
pub struct Groups {
    shared: Arc<SharedGroups>,
}

struct SharedGroups {
    store: Arc<dyn Store>,
    membership: Arc<Membership>,
    heartbeats: OnceLock<JoinHandle<()>>,
    actors: Mutex<HashMap<GroupName, RunningActor>>,
    sessions: AtomicU64,
    is_stopping: AtomicBool,
}

struct RunningActor {
    commands: mpsc::Sender<ActorCommand>,
    task: JoinHandle<()>,
}

impl Groups {
    /// Creates the groups of `store`. Other processes take partitions over after `lease` without a heartbeat.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, lease: Duration) -> Self {
        let shared = SharedGroups {
            store,
            membership: Arc::new(Membership::new(lease, None)),
            heartbeats: OnceLock::new(),
            actors: Mutex::default(),
            sessions: AtomicU64::new(1),
            is_stopping: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns the store of the groups, which also contains their documents.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Adds a consumer to a group.
    ///
    /// # Errors
    /// Returns [`GroupError`] if the group does not exist, is stopped or has too many consumers, the server stops, or
    /// the store fails.
    pub async fn join(
        &self,
        name: &GroupName,
        request: JoinRequest,
    ) -> Result<JoinedConsumer, GroupError> {
        let session = SessionId(self.shared.sessions.fetch_add(1, Ordering::Relaxed));
        // An actor that has just ended does not answer; the next one starts after it.
        for _ in 0..3 {
            if self.shared.is_stopping.load(Ordering::SeqCst) {
                break;
            }
            let (reply, joined) = oneshot::channel();
            let command = ActorCommand::Join(session, request.clone(), reply);
            if self.commands(name).send(command).await.is_ok()
                && let Ok(joined) = joined.await
            {
                return joined;
            }
        }
        Err(GroupError::Stopping)
    }

    /// Makes the actor of a group read its documents again.
    pub async fn reload(&self, name: &GroupName) {
        let commands = self.running(name);
        if let Some(commands) = commands {
            // An error means that the actor ended.
            let _ = commands.send(ActorCommand::Reload).await;
        }
    }

    /// Returns the consumers of a group that are connected to this process.
    pub async fn consumers(&self, name: &GroupName) -> Vec<ConnectedConsumer> {
        let Some(commands) = self.running(name) else {
            return Vec::new();
        };
        let (reply, consumers) = oneshot::channel();
        match commands.send(ActorCommand::Describe(reply)).await {
            Ok(()) => consumers.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Sets the gauges of the groups.
    ///
    /// # Errors
    /// Returns [`GroupError::Store`] if the store fails.
    pub async fn measure(&self) -> Result<(), GroupError> {
        let listed = catalog::list(&**self.store(), None, MAX_LABELS).await?;
        let mut samples = Vec::with_capacity(listed.len());
        for group in listed {
            let consumers = self.consumers(&group.name).await;
            samples.push(GroupSample {
                lag: group.head.saturating_sub(group.position()),
                dead_letters: group.dead_letters(),
                consumers: consumers.len(),
                in_flight: consumers.iter().map(|consumer| consumer.in_flight).sum(),
                name: group.name,
            });
        }
        record_samples(&samples);
        Ok(())
    }

    /// Stops all consumers, writes what is settled, and releases the leases, so that other processes take over at once.
    pub async fn stop(&self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        let actors: Vec<_> = self.actors().drain().map(|(_, actor)| actor).collect();
        for actor in &actors {
            let _ = actor.commands.send(ActorCommand::Stop).await;
        }
        for actor in actors {
            let _ = actor.task.await;
        }
        if let Some(heartbeats) = self.shared.heartbeats.get() {
            heartbeats.abort();
            self.shared.membership.leave(&*self.shared.store).await;
        }
    }

    fn actors(&self) -> MutexGuard<'_, HashMap<GroupName, RunningActor>> {
        let actors = self.shared.actors.lock();
        actors.unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, name: &GroupName) -> Option<mpsc::Sender<ActorCommand>> {
        let actors = self.actors();
        actors.get(name).map(|actor| actor.commands.clone())
    }

    /// Returns the queue of the actor of a group, which is started if it does not run.
    fn commands(&self, name: &GroupName) -> mpsc::Sender<ActorCommand> {
        self.shared.heartbeats.get_or_init(|| {
            let membership = self.shared.membership.clone();
            tokio::spawn(membership.run(self.shared.store.clone()))
        });
        let mut actors = self.actors();
        // The ended actors of other groups are removed here, too.
        actors.retain(|other, actor| other == name || !actor.task.is_finished());
        let previous = match actors.remove(name) {
            Some(actor) if !actor.commands.is_closed() => {
                let commands = actor.commands.clone();
                actors.insert(name.clone(), actor);
                return commands;
            }
            previous => previous.map(|actor| actor.task),
        };
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let context = ActorContext {
            store: self.shared.store.clone(),
            membership: self.shared.membership.clone(),
            name: name.clone(),
            commands: commands.downgrade(),
        };
        let task = tokio::spawn(async move {
            if let Some(previous) = previous {
                // It releases its leases first.
                let _ = previous.await;
            }
            actor::run(context, receiver).await;
        });
        let running = RunningActor {
            commands: commands.clone(),
            task,
        };
        actors.insert(name.clone(), running);
        commands
    }
}
