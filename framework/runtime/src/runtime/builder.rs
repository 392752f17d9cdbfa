//! [`RuntimeBuilder`]: the content and the settings of a runtime.

use std::sync::Arc;
use std::time::Duration;

use factum_core::document::DocumentStore;
use factum_core::position::Position;
use factum_core::store::EventStore;
use factum_engine::clock::{Clock, SharedClock};
use factum_engine::engine::{Engine, RetryPolicy};
use factum_engine::event::Event;
use factum_engine::process::instance::InstanceKeys;
use factum_engine::process::{
    CommandRoute, CommandSet, ProcessManager, ReactSet, Respond, deadline_document,
};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::Runtime;
use super::database_check::check_databases;
use super::node::Node;
use super::running::{ConsumerKind, RunningConsumer};
use super::start_error::{
    StartError, check_commands, check_name, check_not_reserved, check_prefix, check_setting,
    check_unique,
};
use super::start_positions::store_start_positions;
use crate::consumer::{
    BoxedConsumer, BoxedReadModel, ConsumerContext, ConsumerTask, FailurePolicy, ReadModel,
    box_consumer, box_read_model, lease_key,
};
use crate::membership::Membership;
use crate::process::{
    DecisionDeadlines, DeliveryHandle, DispatchOwner, Dispatcher, DispatcherSettings,
    DispatcherTask, EventDriven, EventHandler, HandlerConsumer, HandlerOptions, ProcessConsumer,
    ProcessDefinition, Schedule, Schedules, Signals, TypedProcess, handler_consumer_name,
    process_consumer_name,
};
use crate::start_from::StartFrom;

/// The maximum lengths of names, in bytes.
const MAX_PROJECTION_NAME: usize = 200;
const MAX_PROCESS_NAME: usize = 128;
const MAX_NODE_NAME: usize = 200;
/// The limits of the lease. A shorter one would end while its node waits for the store.
const MIN_LEASE: Duration = Duration::from_millis(10);
const MAX_LEASE: Duration = Duration::from_hours(24);
/// The maximum number of commands, or of streams of an event handler, at a time.
const MAX_CONCURRENCY: usize = 10_000;
/// The maximum number of partitions of a projection.
const MAX_PARTITIONS: u16 = 1_000;
/// The pause of retries of an unavailable store, if the policy has none.
const MIN_RETRY_PAUSE: Duration = Duration::from_millis(20);

/// The content and the settings of a [`Runtime`].
#[must_use = "a builder does nothing until `start`"]
pub struct RuntimeBuilder {
    engine: Engine,
    projections: Vec<ProjectionSpec>,
    processes: Vec<ProcessSpec>,
    handlers: Vec<HandlerSpec>,
    schedules: Vec<Schedule>,
    deadlines: Option<Vec<CommandRoute>>,
    clock: SharedClock,
    retry: RetryPolicy,
    lease: Duration,
    node_name: Option<String>,
    concurrency: usize,
    stop_timeout: Duration,
}

struct ProjectionSpec {
    model: Arc<dyn BoxedConsumer>,
    policy: FailurePolicy,
}

struct ProcessSpec {
    definition: Arc<dyn EventDriven>,
    deliveries: Arc<dyn ProcessDefinition>,
    options: ProcessOptions,
}

struct HandlerSpec {
    name: String,
    options: HandlerOptions,
    consumer: Box<dyn FnOnce(Position) -> Arc<dyn BoxedConsumer> + Send>,
}

/// The options of a process manager.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProcessOptions {
    /// The start position of a new process manager.
    pub start_from: StartFrom,
    /// The policy for events that fail; by default they become dead letters.
    pub failure_policy: FailurePolicy,
}

impl ProcessOptions {
    /// Creates the default options of a process manager that starts at `start_from`.
    #[must_use]
    pub fn new(start_from: StartFrom) -> Self {
        Self {
            start_from,
            failure_policy: FailurePolicy::default(),
        }
    }

    /// Sets the policy for events that fail.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }
}

impl From<StartFrom> for ProcessOptions {
    fn from(start_from: StartFrom) -> Self {
        Self::new(start_from)
    }
}

impl Runtime {
    /// Returns a builder of a runtime over the store of `engine`.
    pub fn builder(engine: &Engine) -> RuntimeBuilder {
        RuntimeBuilder::new(engine)
    }
}

impl RuntimeBuilder {
    fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            projections: Vec::new(),
            processes: Vec::new(),
            handlers: Vec::new(),
            schedules: Vec::new(),
            deadlines: None,
            clock: engine.clock().clone(),
            retry: RetryPolicy {
                attempts: 8,
                base: Duration::from_millis(20),
                cap: Duration::from_secs(5),
            },
            lease: Duration::from_secs(30),
            node_name: None,
            concurrency: 16,
            stop_timeout: Duration::from_secs(10),
        }
    }

    /// Adds a projection. Events that fail become dead letters.
    pub fn projection(self, model: impl ReadModel) -> Self {
        self.projection_with(model, FailurePolicy::default())
    }

    /// Adds a projection with a failure policy.
    pub fn projection_with(mut self, model: impl ReadModel, policy: FailurePolicy) -> Self {
        let model = box_read_model(model);
        self.projections.push(ProjectionSpec { model, policy });
        self
    }

    /// Adds the process manager `P`.
    ///
    /// A process manager that is new to the store starts at the start position in `options`.
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # use factum::process::ReactSet;
    /// # async fn run<P: Respond + ReactSet<<P as ProcessManager>::Events>>(engine: Engine) {
    /// let runtime = Runtime::builder(&engine).process::<P>(StartFrom::Beginning).start().await;
    /// # }
    /// ```
    pub fn process<P>(mut self, options: impl Into<ProcessOptions>) -> Self
    where
        P: Respond + ReactSet<<P as ProcessManager>::Events>,
    {
        let definition = Arc::new(TypedProcess::<P>::new());
        self.processes.push(ProcessSpec {
            definition: definition.clone(),
            deliveries: definition,
            options: options.into(),
        });
        self
    }

    /// Adds the event handler `handler`.
    ///
    /// An event handler that is new to the store starts at the start position in `options`.
    ///
    /// The name identifies its checkpoint: 1 to 128 bytes without `/` or control characters.
    pub fn handler<E: Event>(
        mut self,
        name: impl Into<String>,
        handler: impl EventHandler<E>,
        options: impl Into<HandlerOptions>,
    ) -> Self {
        let (name, options) = (name.into(), options.into());
        let (of, concurrency) = (name.clone(), options.concurrency);
        self.handlers.push(HandlerSpec {
            name,
            options,
            consumer: Box::new(move |starts_after| {
                box_consumer(HandlerConsumer::new(
                    &of,
                    handler,
                    concurrency,
                    starts_after,
                ))
            }),
        });
        self
    }

    /// Adds a schedule.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedules.push(schedule);
        self
    }

    /// Executes the [deadlines] that decisions set with these commands.
    ///
    /// `C` is a command, or a tuple of several.
    ///
    /// Deadlines are executed when they are due, one after the other. Each one is executed exactly once, even if
    /// several nodes execute deadlines. If no node executes the command of a deadline, the deadline stays due and a
    /// warning is logged.
    ///
    /// [deadlines]: factum_engine::events::Events::deadline
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # use serde::de::DeserializeOwned;
    /// # async fn run<CancelOrder: Decide + DeserializeOwned, Remind: Decide + DeserializeOwned>(engine: Engine) {
    /// let runtime = Runtime::builder(&engine).deadlines::<(CancelOrder, Remind)>().start().await;
    /// # }
    /// ```
    pub fn deadlines<C: CommandSet>(mut self) -> Self {
        self.deadlines.get_or_insert_default().extend(C::routes());
        self
    }

    /// Sets the clock of deadlines and schedules. Default: the clock of the engine.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = SharedClock::new(clock);
        self
    }

    /// Sets how often, and after which pauses, a failed operation is retried before it fails permanently.
    ///
    /// While the store is unavailable, operations are retried without end. Default: 8 attempts with pauses of up to 5
    /// seconds. [`RetryPolicy::check`] states the rules.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        if self.retry.base.is_zero() {
            // Otherwise the retries while the store is unavailable would keep a processor busy.
            self.retry.base = MIN_RETRY_PAUSE;
            self.retry.cap = self.retry.cap.max(MIN_RETRY_PAUSE);
        }
        self
    }

    /// Sets the time after which a node without heartbeats is considered dead.
    ///
    /// Other nodes then take over its work. While there are other nodes, each node writes a heartbeat every third of
    /// this time. A node that has ended on the same machine, or whose store has released its
    /// [liveness lock](factum_core::document::DocumentStore::liveness_lock), is recognized at once. 10 milliseconds to 24
    /// hours, default: 30 seconds.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets a name of this node that stays the same after a restart, for example host and service.
    ///
    /// At its start, the node immediately takes over the work of the previous node with this name. If two nodes have
    /// the same name, the node that starts later takes over the work of the other one. This has no other effect. At most
    /// 200 bytes without control characters; an empty name is no name.
    pub fn node_name(mut self, name: impl Into<String>) -> Self {
        self.node_name = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// Sets the number of commands of a process manager that are executed at a time.
    ///
    /// The number is 1 to 10,000. Default: 16.
    ///
    /// Commands start in the order of their due times, and a deadline is handled after all earlier work.
    pub fn concurrency(mut self, commands: usize) -> Self {
        self.concurrency = commands;
        self
    }

    /// Sets the time after which [`Runtime::stop`] aborts tasks that have not finished.
    ///
    /// It is at most 24 hours. The default is 10 seconds.
    pub fn stop_timeout(mut self, timeout: Duration) -> Self {
        self.stop_timeout = timeout;
        self
    }

    /// Starts the runtime, in tasks of the current Tokio runtime.
    ///
    /// The start positions of new consumers are stored when the call returns, but no event is processed yet. A table of
    /// a new store may not exist, and a read model in memory is empty: before a program serves requests, it calls
    /// [`Runtime::wait_until_current`].
    ///
    /// # Errors
    /// Returns [`StartError`] if a name or a setting is not valid, or if a name occurs twice. Also returns it if the
    /// tables of a projection are in another database than the events, if the store fails, or outside a Tokio runtime.
    pub async fn start(self) -> Result<Runtime, StartError> {
        if Handle::try_current().is_err() {
            return Err(StartError::NoTokioRuntime);
        }
        self.check()?;
        check_databases(&**self.engine.store(), &self.databases(), &self.retry).await?;
        for route in self.deadlines.iter().flatten() {
            let command_type = route.command_type();
            self.engine.add_deadline_command(route.name, command_type);
        }
        let started = self.clock.now();
        let consumers = self.start_positions();
        let head = store_start_positions(&**self.engine.store(), &consumers, &self.retry).await?;
        Ok(self.spawn(head, started))
    }

    fn check(&self) -> Result<(), StartError> {
        self.check_settings()?;
        let projections = || self.projections.iter().map(|it| it.model.name());
        for name in projections() {
            check_name(ConsumerKind::Projection, name, MAX_PROJECTION_NAME)?;
            check_prefix(name)?;
        }
        let processes = || self.processes.iter().map(|it| it.definition.name());
        for name in processes() {
            check_name(ConsumerKind::ProcessManager, name, MAX_PROCESS_NAME)?;
            check_not_reserved(name)?;
        }
        let handlers = || self.handlers.iter().map(|it| &*it.name);
        for name in handlers() {
            check_name(ConsumerKind::EventHandler, name, MAX_PROCESS_NAME)?;
        }
        check_unique(ConsumerKind::Projection.as_str(), projections())?;
        check_unique(ConsumerKind::ProcessManager.as_str(), processes())?;
        check_unique(ConsumerKind::EventHandler.as_str(), handlers())?;
        check_unique("schedule", self.schedules.iter().map(Schedule::name))?;
        check_commands("`deadlines`", self.deadlines.as_deref().unwrap_or_default())?;
        for process in &self.processes {
            let kind = format!("the process manager {:?}", process.definition.name());
            check_commands(&kind, &process.deliveries.routes())?;
        }
        Ok(())
    }

    fn check_settings(&self) -> Result<(), StartError> {
        self.retry.check().map_err(StartError::InvalidSetting)?;
        check_setting("`lease`", self.lease, MIN_LEASE..=MAX_LEASE)?;
        check_setting(
            "`stop_timeout`",
            self.stop_timeout,
            Duration::ZERO..=MAX_LEASE,
        )?;
        check_setting("`concurrency`", self.concurrency, 1..=MAX_CONCURRENCY)?;
        for HandlerSpec { name, options, .. } in &self.handlers {
            let setting = format!("`concurrency` of event handler {name:?}");
            check_setting(&setting, options.concurrency, 1..=MAX_CONCURRENCY)?;
        }
        for ProjectionSpec { model, .. } in &self.projections {
            let setting = format!("`partitions` of projection {:?}", model.name());
            check_setting(&setting, model.partitions(), 1..=MAX_PARTITIONS)?;
        }
        match &self.node_name {
            Some(name) if name.len() > MAX_NODE_NAME || name.contains(char::is_control) => {
                let name: String = name.chars().take(80).collect();
                let error = format!(
                    "invalid `node_name` {name:?}; use at most {MAX_NODE_NAME} bytes without control characters"
                );
                Err(StartError::InvalidSetting(error))
            }
            _ => Ok(()),
        }
    }

    /// Returns the names of the projections with tables, and their databases.
    fn databases(&self) -> Vec<(String, Arc<dyn DocumentStore>)> {
        let models = self.projections.iter().map(|it| &it.model);
        let databases = models.filter_map(|model| {
            let documents = model.read_model()?.shared_documents()?;
            Some((model.name().to_owned(), documents))
        });
        databases.collect()
    }

    /// Returns the names and the start positions of the process managers and the event handlers.
    fn start_positions(&self) -> Vec<(String, StartFrom)> {
        let processes = self.processes.iter().map(|it| {
            let name = process_consumer_name(it.definition.name());
            (name, it.options.start_from)
        });
        let handlers = self.handlers.iter().map(|it| {
            let name = handler_consumer_name(&it.name);
            (name, it.options.start_from)
        });
        processes.chain(handlers).collect()
    }

    fn spawn(self, head: Position, started: factum_core::timestamp::Timestamp) -> Runtime {
        let store = self.engine.store().clone();
        let documents: Arc<dyn DocumentStore> = store.clone();
        let membership = Arc::new(Membership::new(self.lease, self.node_name));
        let local = Arc::new(Membership::alone(self.lease));
        let retry = self.retry;
        let start_consumer = |consumer: Arc<dyn BoxedConsumer>, policy: FailurePolicy| {
            let own = consumer
                .read_model()
                .and_then(BoxedReadModel::local_documents);
            let (membership, documents) = match own {
                None => (membership.clone(), documents.clone()),
                Some(own) => (local.clone(), own),
            };
            let events: Arc<dyn EventStore> = store.clone();
            let retry = retry.clone();
            ConsumerTask::start(ConsumerContext::new(
                consumer, events, documents, membership, retry, policy,
            ))
        };
        let shutdown = watch::Sender::new(false);
        let settings = DispatcherSettings {
            engine: self.engine.clone(),
            clock: self.clock.clone(),
            retry: retry.clone(),
            poll_interval: membership.poll_interval(),
            concurrency: self.concurrency,
        };
        let start_dispatcher = |deliveries: &DeliveryHandle, owner: DispatchOwner| {
            let dispatcher = Dispatcher::new(deliveries, owner, settings.clone());
            dispatcher.start(started, shutdown.subscribe())
        };

        let mut consumers = Vec::new();
        let mut dispatchers: Vec<DispatcherTask> = Vec::new();
        let mut is_shared = !self.processes.is_empty() || !self.handlers.is_empty();
        for ProjectionSpec { model, policy } in self.projections {
            let local = model.read_model().and_then(BoxedReadModel::local_documents);
            is_shared |= local.is_none();
            let name = model.name().to_owned();
            let task = start_consumer(model, policy);
            let kind = ConsumerKind::Projection;
            consumers.push(RunningConsumer::new(kind, name, task, None));
        }
        for spec in self.processes {
            let name = spec.definition.name();
            let (keys, signals) = (InstanceKeys::new(name), Arc::new(Signals::default()));
            let starts_after = spec.options.start_from.position(head);
            let consumer = ProcessConsumer::new(
                spec.definition,
                keys.clone(),
                starts_after,
                signals.clone(),
                self.clock.clone(),
            );
            let task = start_consumer(box_consumer(consumer), spec.options.failure_policy);
            let deliveries =
                DeliveryHandle::new(spec.deliveries, keys, signals, self.engine.store().clone());
            let owner = DispatchOwner::LeaseHolder {
                lease: lease_key(&process_consumer_name(name), 1, 0),
                membership: membership.clone(),
            };
            dispatchers.push(start_dispatcher(&deliveries, owner));
            let kind = ConsumerKind::ProcessManager;
            let consumer = RunningConsumer::new(kind, name.to_owned(), task, Some(deliveries));
            consumers.push(consumer);
        }
        for spec in self.handlers {
            let consumer = (spec.consumer)(spec.options.start_from.position(head));
            let task = start_consumer(consumer, spec.options.failure_policy);
            let kind = ConsumerKind::EventHandler;
            consumers.push(RunningConsumer::new(kind, spec.name, task, None));
        }
        let schedule_names = self.schedules.iter().map(|it| it.name().to_owned());
        let schedule_names = schedule_names.collect();
        let handle = |definition: Arc<dyn ProcessDefinition>, keys| {
            DeliveryHandle::new(definition, keys, Arc::default(), store.clone())
        };
        let schedules = (!self.schedules.is_empty())
            .then(|| handle(Arc::new(Schedules::new(self.schedules)), Schedules::keys()));
        let deadlines = self.deadlines.map(|routes| {
            let definition = Arc::new(DecisionDeadlines::new(routes));
            handle(definition, deadline_document::keys())
        });
        for deliveries in schedules.iter().chain(&deadlines) {
            dispatchers.push(start_dispatcher(deliveries, DispatchOwner::EveryNode));
        }
        Runtime {
            consumers,
            schedules,
            deadlines,
            dispatchers,
            schedule_names,
            node: Node::start(membership, documents, is_shared),
            engine: self.engine,
            clock: self.clock,
            shutdown,
            stop_timeout: self.stop_timeout,
        }
    }
}
