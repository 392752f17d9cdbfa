//! [`Readers`]: threads that read, each through a connection of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::Fault;
use crate::file::File;

/// Short work that is done in one transaction at most.
const TOGETHER: usize = 16;

/// Takes the connection, or why there is none; says whether the connection is to be kept.
type Work = Box<dyn FnOnce(Result<&Connection, Fault>) -> bool + Send>;

struct Job {
    length: Length,
    work: Work,
}

/// How long work may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// As long as it takes to find a few rows by an index.
    Short,
    /// As long as it takes to look at the whole file.
    Long,
}

/// Threads that begin when there is work for them, and end with this.
pub(crate) struct Readers {
    queue: Arc<Queue>,
    file: File,
    most: usize,
    /// Each thread holds a sender: the receiver ends when all of them have.
    running: Mutex<Option<mpsc::Sender<()>>>,
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    closed: bool,
}

impl Readers {
    /// At most `most` threads.
    pub(crate) fn new(file: File, most: usize) -> Self {
        let (running, ended) = mpsc::channel(1);
        Self {
            queue: Arc::default(),
            file,
            most,
            running: Mutex::new(Some(running)),
            ended: tokio::sync::Mutex::new(ended),
        }
    }

    /// What `work` makes of a connection, inside a transaction that begins after this was called.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        length: Length,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // Who asked has gone.
            if answer.is_closed() {
                return true;
            }
            let done = connection.and_then(work);
            let keep = !matches!(&done, Err(fault) if fault.is_of_the_connection());
            let _ = answer.send(done);
            keep
        });
        self.push(Job { length, work })?;
        answered.await.map_err(|_| Fault::Closed)?
    }

    /// Lets the threads end, and waits until they have. What waits is answered with [`Fault::Closed`].
    pub(crate) async fn close(&self) {
        self.queue.close();
        lock(&self.running).take();
        // Nothing is ever sent.
        let _ = self.ended.lock().await.recv().await;
    }

    fn push(&self, job: Job) -> Result<(), Fault> {
        let mut state = lock(&self.queue.state);
        if state.closed {
            return Err(Fault::Closed);
        }
        state.jobs.push_back(job);
        let start = state.jobs.len() > state.idle && state.threads < self.most;
        state.threads += usize::from(start);
        drop(state);
        match start {
            true => self.spawn(),
            false => self.queue.work.notify_one(),
        }
        Ok(())
    }

    fn spawn(&self) {
        let running = lock(&self.running).clone();
        let reader = Reader {
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
            tracing::warn!(%error, "a thread that reads could not be started");
            let mut state = lock(&self.queue.state);
            if state.threads == 0 {
                // Nobody is there to answer.
                state.jobs.clear();
            }
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Queue {
    fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.jobs.clear();
        drop(state);
        self.work.notify_all();
    }

    /// Puts what is next into `jobs`: short work together, since a page of the file that was read in a transaction is
    /// not read again in it. False once this is closed.
    fn next(&self, jobs: &mut Vec<Job>) -> bool {
        let mut state = lock(&self.state);
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state.idle += 1;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        let share = state.jobs.len().div_ceil(state.threads.max(1));
        let short = |job: &Job| job.length == Length::Short;
        let together = state.jobs.iter().take(share.min(TOGETHER));
        let together = together.take_while(|job| short(job)).count().max(1);
        jobs.extend(state.jobs.drain(..together));
        true
    }
}

struct Reader {
    queue: Arc<Queue>,
    file: File,
    connection: Option<Connection>,
}

impl Reader {
    fn run(&mut self) {
        let mut jobs = Vec::with_capacity(TOGETHER);
        while self.queue.next(&mut jobs) {
            if !self.work(&mut jobs) {
                self.connection = None;
            }
        }
    }

    /// Whether the connection is to be kept.
    fn work(&mut self, jobs: &mut Vec<Job>) -> bool {
        let connection = match self.begin() {
            Ok(connection) => connection,
            Err(fault) => {
                for job in jobs.drain(..) {
                    (job.work)(Err(fault.clone()));
                }
                return false;
            }
        };
        let mut keep = true;
        for job in jobs.drain(..) {
            keep &= (job.work)(Ok(connection));
        }
        let ended = connection.prepare_cached("rollback");
        keep && ended.and_then(|mut end| end.execute([])).is_ok()
    }

    fn begin(&mut self) -> Result<&Connection, Fault> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.file.connect_to_read()?),
        };
        connection.prepare_cached("begin")?.execute([])?;
        Ok(connection)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        lock(&self.queue.state).threads -= 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
