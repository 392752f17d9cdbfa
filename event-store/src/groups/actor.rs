//! The actor of a group: reads the log, drives the coordinator, writes the documents, and sends the notices.
//!
//! There is one actor for each group with consumers on this server process. It runs until its last consumer leaves.

mod commands;
mod leases;
mod reads;
mod state;
mod writes;

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::consumer::{ActorCommand, ConsumerLink, StopReason};
use super::group_document::VersionedGroup;
use state::{Actor, FAILURE_PAUSE};

pub use state::ActorContext;

/// Runs the actor of a group until its last consumer leaves.
pub async fn run(context: ActorContext, mut commands: mpsc::Receiver<ActorCommand>) {
    context.membership.ready().await;
    let control = VersionedGroup::read(&*context.store, &context.name).await;
    let control = match control {
        Ok(control) => control,
        Err(error) => {
            commands.close();
            let mut error = Some(error);
            while let Some(command) = commands.recv().await {
                if let (ActorCommand::Join(_, _, reply), Some(error)) = (command, error.take()) {
                    // The caller may have ended.
                    let _ = reply.send(Err(error));
                }
            }
            return;
        }
    };
    let mut actor = Actor::new(context, control);
    actor.register();
    actor.serve(&mut commands).await;
    commands.close();
    // A group that does not run refuses its consumers. Otherwise, they join the next actor.
    while let Some(command) = commands.recv().await {
        actor.refuse(command);
    }
    actor.finish().await;
    actor.unregister();
}

impl Actor {
    async fn serve(&mut self, commands: &mut mpsc::Receiver<ActorCommand>) {
        let mut had_consumers = false;
        loop {
            self.step().await;
            had_consumers |= !self.consumers.is_empty();
            if self.ending.is_some() || (had_consumers && self.consumers.is_empty()) {
                return;
            }
            let wake = self.wake_time();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => {
                        self.execute(command).await;
                        // Further commands are taken together, so that their answers are written together.
                        for _ in 0..256 {
                            let Ok(command) = commands.try_recv() else { break };
                            self.execute(command).await;
                        }
                        // The actor also ends if its first consumer could not join.
                        had_consumers = true;
                    }
                    None => return,
                },
                page = ready(&mut self.page) => self.add_page(page).await,
                retries = ready(&mut self.retries) => self.add_retries(retries),
                write = ready(&mut self.write) => self.written(write),
                changed = self.head.changed() => if changed.is_err() {
                    self.end(StopReason::ServerStopping, "the store is closed");
                },
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Does everything that can be done now.
    async fn step(&mut self) {
        if self.write.is_none() {
            if self.must_reload {
                self.reload_leases().await;
            }
            if Instant::now() >= self.poll_at {
                self.poll().await;
            }
        }
        let now = self.now();
        for session in self.coordinator.silent_sessions(now) {
            let message = "the consumer sent no message within its session timeout";
            self.remove_consumer(session, StopReason::ConsumerSilent, message);
        }
        let to_release = self.coordinator.tick(now);
        if self.write.is_none() {
            for partition in to_release {
                self.release(partition).await;
            }
        }
        self.start_reads();
        let consumers = &self.consumers;
        self.coordinator.deliver(now, |session| {
            consumers.get(&session).map_or(0, ConsumerLink::room)
        });
        self.start_write();
        self.report_progress();
        self.send_notices();
    }

    /// Returns the time of the next step without an event.
    fn wake_time(&self) -> Instant {
        let timer = self.coordinator.next_timer();
        let timer = timer.map(|at| self.started + Duration::from_millis(at + 1));
        let mut times = vec![self.poll_at];
        times.extend(timer);
        if self.write.is_none() {
            let has_changes = self.coordinator.has_changes();
            times.push(if has_changes {
                self.write_at
            } else {
                self.moved_at
            });
        }
        if self.page.is_none() {
            times.push(self.read_at.max(Instant::now() + Duration::from_millis(1)));
        }
        let earliest = times.into_iter().min();
        earliest.unwrap_or_else(|| Instant::now() + FAILURE_PAUSE)
    }
}

/// Waits for an operation, and removes it; waits forever if there is none.
async fn ready<T>(operation: &mut Option<BoxFuture<'static, T>>) -> T {
    match operation {
        Some(running) => {
            let done = running.await;
            *operation = None;
            done
        }
        None => std::future::pending().await,
    }
}
