//! The requests of consumers.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

use super::state::Actor;
use crate::groups::catalog;
use crate::groups::consumer::{
    ActorCommand, ConnectedConsumer, ConsumerRequest, JoinRequest, JoinedConsumer, StopReason,
    consumer,
};
use crate::groups::error::GroupError;
use crate::groups::session::Session;
use crate::groups::stop::{GroupStop, StopCause};
use crate::groups::window::{Millis, SessionId};

impl Actor {
    /// Carries out a command.
    pub async fn execute(&mut self, command: ActorCommand) {
        match command {
            ActorCommand::Join(session, request, reply) => self.join(session, request, reply).await,
            ActorCommand::Request(session, request) => {
                if self.consumers.contains_key(&session) {
                    self.answer(session, request).await;
                }
            }
            ActorCommand::Leave(session, reason, message) => {
                self.remove_consumer(session, reason, &message);
            }
            ActorCommand::Reload => self.poll_at = Instant::now(),
            ActorCommand::Stop => self.end(
                StopReason::ServerStopping,
                "the server is stopping; connect again",
            ),
            ActorCommand::Describe(reply) => {
                // The caller may have ended.
                let _ = reply.send(self.consumer_status());
            }
        }
    }

    async fn join(
        &mut self,
        session: SessionId,
        request: JoinRequest,
        reply: oneshot::Sender<Result<JoinedConsumer, GroupError>>,
    ) {
        let joined = self.try_join(session, request).await;
        if reply.send(joined).is_err() {
            self.remove_consumer(session, StopReason::ConsumerLeft, "the connection ended");
        }
    }

    async fn try_join(
        &mut self,
        session: SessionId,
        request: JoinRequest,
    ) -> Result<JoinedConsumer, GroupError> {
        if self.control.document.stopped.is_some() {
            // It may run again since the last poll.
            self.poll().await;
        }
        let name = || self.context.name.as_str().to_owned();
        if let Some(stop) = &self.control.document.stopped {
            let stop = stop.clone();
            return Err(GroupError::Stopped { name: name(), stop });
        }
        let settings = &self.control.document.settings;
        let limit = settings.max_consumers as usize;
        if self.consumers.len() >= limit {
            return Err(GroupError::TooMany {
                what: "consumers of the group",
                limit,
            });
        }
        let commands = self.context.commands.upgrade();
        let commands = commands.ok_or(GroupError::Stopping)?;
        let progress = self.progress.subscribe();
        let max_in_flight = settings.max_in_flight;
        let (link, handle) = consumer(session, request.name, max_in_flight, progress, commands);
        self.consumers.insert(session, link);
        let session_state = Session {
            credit: request.credit,
            in_flight: 0,
            max_in_flight: request.max_in_flight,
            last_seen: self.now(),
            timeout: request.session_timeout.as_millis() as Millis,
        };
        self.coordinator.join(session, session_state);
        Ok(handle)
    }

    /// Answers a consumer that wants to join a group that does not run.
    pub fn refuse(&self, command: ActorCommand) {
        let ActorCommand::Join(_, _, reply) = command else {
            return;
        };
        let name = self.context.name.as_str().to_owned();
        let reason = self.ending.as_ref().map(|ending| ending.reason);
        let refused = match (&self.control.document.stopped, reason) {
            (Some(stop), _) => GroupError::Stopped {
                name,
                stop: stop.clone(),
            },
            (None, Some(StopReason::GroupDeleted)) => GroupError::NotFound { name },
            _ => return,
        };
        // The caller may have ended.
        let _ = reply.send(Err(refused));
    }

    async fn answer(&mut self, session: SessionId, request: ConsumerRequest) {
        let now = self.now();
        self.coordinator.seen(session, now);
        match request {
            ConsumerRequest::Heartbeat => {}
            ConsumerRequest::Credit(events) => self.coordinator.add_credit(session, events),
            ConsumerRequest::Settle {
                partition,
                fence,
                positions,
            } => {
                let positions = &positions;
                self.coordinator
                    .acknowledge(session, partition, fence, positions);
            }
            ConsumerRequest::Fail {
                partition,
                fence,
                position,
                failure,
            } => {
                let delivery = (partition, fence, position);
                self.coordinator.reject(session, delivery, failure, now);
            }
            ConsumerRequest::Stop {
                partition,
                fence,
                position,
                reason,
            } => {
                if self.coordinator.is_assigned(session, partition, fence) {
                    let message = match &*reason {
                        "" => format!("a consumer stopped the group at the event {position}"),
                        reason => format!(
                            "a consumer stopped the group at the event {position}: {reason}"
                        ),
                    };
                    self.stop_group(StopCause::ConsumerRequest, message).await;
                }
            }
        }
    }

    /// Stops the group for all consumers, on all server processes.
    pub async fn stop_group(&mut self, cause: StopCause, message: String) {
        let stop = GroupStop {
            cause,
            message: message.clone(),
            position: self.progress.borrow().position,
        };
        let stopped = catalog::stop(&*self.context.store, &self.context.name, &stop).await;
        if let Err(error) = stopped {
            let group = self.context.name.as_str();
            warn!(%error, group, "cannot store that the group is stopped");
        }
        self.end(cause.into(), message);
    }

    fn consumer_status(&self) -> Vec<ConnectedConsumer> {
        let now = self.now();
        let sessions = self.coordinator.sessions().iter();
        let status = sessions.filter_map(|(id, session)| {
            Some(ConnectedConsumer {
                name: self.consumers.get(id)?.name.clone(),
                partitions: self.coordinator.partitions_of(*id),
                in_flight: session.in_flight,
                free_slots: session.capacity(self.control.document.settings.max_in_flight),
                silent_for: Duration::from_millis(now.saturating_sub(session.last_seen)),
            })
        });
        status.collect()
    }
}
