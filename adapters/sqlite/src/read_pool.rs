//! [`ReadPool`]: threads that read, each with its own connection.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::blocking;
use crate::database_file::DatabaseFile;
use crate::error::BackendError;

/// The maximum number of short reads in one transaction.
const MAX_GROUP: usize = 16;

/// The interval at which running reads are interrupted while the pool is closed.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(20);

/// A read that gets a connection or an error, and returns whether to keep the connection.
type ReadFn = Box<dyn FnOnce(Result<&Connection, BackendError>) -> bool + Send>;

struct ReadTask {
    cost: ReadCost,
    read: ReadFn,
}

/// The expected duration of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadCost {
    /// The read finds a few rows by an index.
    Short,
    /// The read may scan the whole file.
    Long,
}

/// Threads that start when there are tasks for them, and end when the pool is dropped or closed.
pub struct ReadPool {
    queue: Arc<ReadQueue>,
    file: DatabaseFile,
    max_threads: usize,
    /// Each thread has a clone of the sender, so the receiver ends when all threads have.
    running: Mutex<Option<mpsc::Sender<()>>>,
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

#[derive(Default)]
struct ReadQueue {
    state: Mutex<QueueState>,
    task_added: Condvar,
}

#[derive(Default)]
struct QueueState {
    tasks: VecDeque<ReadTask>,
    idle_threads: usize,
    threads: usize,
    /// Ends the reads of the connection of each thread.
    interrupts: HashMap<ThreadId, InterruptHandle>,
    closed: bool,
}

impl ReadPool {
    pub fn new(file: DatabaseFile, max_threads: usize) -> Self {
        let (running, ended) = mpsc::channel(1);
        Self {
            queue: Arc::default(),
            file,
            max_threads,
            running: Mutex::new(Some(running)),
            ended: tokio::sync::Mutex::new(ended),
        }
    }

    /// Runs `read` in a transaction that begins after this call, and returns its result.
    pub async fn run<T: Send + 'static>(
        &self,
        cost: ReadCost,
        read: impl FnOnce(&Connection) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let (sender, response) = oneshot::channel();
        let read: ReadFn = Box::new(move |connection| {
            // The caller has dropped its future.
            if sender.is_closed() {
                return true;
            }
            let result = connection.and_then(read);
            let keep = !matches!(&result, Err(error) if error.breaks_connection());
            let _ = sender.send(result);
            keep
        });
        self.push(ReadTask { cost, read })?;
        response.await.map_err(|_| BackendError::Closed)?
    }

    /// Ends the threads and waits for them; their tasks fail with [`BackendError::Closed`].
    pub async fn close(&self) {
        self.queue.close();
        lock(&self.running).take();
        let mut ended = self.ended.lock().await;
        let has_clock = blocking::runtime().is_ok();
        loop {
            // Nothing is ever sent, so this returns when all senders are dropped.
            let ended = ended.recv();
            let waited = match has_clock {
                true => tokio::time::timeout(INTERRUPT_INTERVAL, ended).await,
                false => Ok(ended.await),
            };
            match waited {
                Ok(_) => return,
                // An interrupt has no effect on a statement that begins after it.
                Err(_) => self.queue.interrupt(),
            }
        }
    }

    fn push(&self, task: ReadTask) -> Result<(), BackendError> {
        let mut state = lock(&self.queue.state);
        if state.closed {
            return Err(BackendError::Closed);
        }
        state.tasks.push_back(task);
        let start_thread =
            state.tasks.len() > state.idle_threads && state.threads < self.max_threads;
        state.threads += usize::from(start_thread);
        drop(state);
        match start_thread {
            true => self.spawn(),
            false => self.queue.task_added.notify_one(),
        }
        Ok(())
    }

    fn spawn(&self) {
        let running = lock(&self.running).clone();
        let reader = ReadThread {
            queue: self.queue.clone(),
            file: self.file.clone(),
            connection: None,
        };
        let started = thread::Builder::new()
            .name("factum-sqlite-reader".to_owned())
            .spawn(move || {
                let mut reader = reader;
                reader.run();
                drop(reader);
                drop(running);
            });
        if let Err(error) = started {
            warn!(%error, "cannot start a reading thread");
            let mut state = lock(&self.queue.state);
            if state.threads == 0 {
                // No thread is left to run the tasks. Dropping them fails their callers.
                state.tasks.clear();
            }
        }
    }
}

impl Drop for ReadPool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl ReadQueue {
    fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.tasks.clear();
        drop(state);
        self.interrupt();
        self.task_added.notify_all();
    }

    /// Ends the statements that run now.
    fn interrupt(&self) {
        for interrupt in lock(&self.state).interrupts.values() {
            interrupt.interrupt();
        }
    }

    /// Adds the handle of a new connection of this thread.
    fn add_interrupt(&self, interrupt: InterruptHandle) -> Result<(), BackendError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(BackendError::Closed);
        }
        let thread = thread::current().id();
        state.interrupts.insert(thread, interrupt);
        Ok(())
    }

    /// Moves the next tasks into `tasks`, and returns `false` once the queue is closed.
    ///
    /// Short reads are grouped: a transaction reads a page of the file only once.
    fn next(&self, tasks: &mut Vec<ReadTask>) -> bool {
        let mut state = lock(&self.state);
        while state.tasks.is_empty() {
            if state.closed {
                return false;
            }
            state.idle_threads += 1;
            state = self
                .task_added
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle_threads -= 1;
        }
        let share = state.tasks.len().div_ceil(state.threads.max(1));
        let is_short = |task: &ReadTask| task.cost == ReadCost::Short;
        let group = state.tasks.iter().take(share.min(MAX_GROUP));
        let count = group.take_while(|task| is_short(task)).count().max(1);
        tasks.extend(state.tasks.drain(..count));
        true
    }
}

struct ReadThread {
    queue: Arc<ReadQueue>,
    file: DatabaseFile,
    connection: Option<Connection>,
}

impl ReadThread {
    fn run(&mut self) {
        let mut tasks = Vec::with_capacity(MAX_GROUP);
        while self.queue.next(&mut tasks) {
            if !self.execute(&mut tasks) {
                self.connection = None;
            }
        }
    }

    /// Executes `tasks` in one transaction, and returns whether to keep the connection.
    fn execute(&mut self, tasks: &mut Vec<ReadTask>) -> bool {
        let connection = match self.begin() {
            Ok(connection) => connection,
            Err(error) => {
                for task in tasks.drain(..) {
                    (task.read)(Err(error.clone()));
                }
                return false;
            }
        };
        let mut keep = true;
        for task in tasks.drain(..) {
            keep &= (task.read)(Ok(connection));
        }
        let ended = connection.prepare_cached("rollback");
        keep && ended.and_then(|mut end| end.execute([])).is_ok()
    }

    fn begin(&mut self) -> Result<&Connection, BackendError> {
        self.file.check()?;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = none.insert(self.file.connect_to_read()?);
                self.queue
                    .add_interrupt(connection.get_interrupt_handle())?;
                connection
            }
        };
        connection.prepare_cached("begin")?.execute([])?;
        Ok(connection)
    }
}

impl Drop for ReadThread {
    fn drop(&mut self) {
        lock(&self.queue.state).threads -= 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
