//! [`Activity`]: the requests of one connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// The requests of one connection. Clones share one state.
#[derive(Debug, Clone)]
pub struct Activity(Arc<Mutex<ActivityState>>);

#[derive(Debug)]
struct ActivityState {
    /// The number of requests so far. It is the key of the next request.
    started: u64,
    active: usize,
    idle_since: Instant,
    /// The requests with an unsent part of the response, and the time of that part.
    unsent: HashMap<u64, Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

impl Activity {
    /// Creates the activity of a connection without requests.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(ActivityState {
            started: 0,
            active: 0,
            idle_since: Instant::now(),
            unsent: HashMap::new(),
        })))
    }

    /// Returns the number of requests so far.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.state().started
    }

    /// Returns the end of the last request, or `None` if a request is active.
    #[must_use]
    pub fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.active == 0).then_some(state.idle_since)
    }

    /// Returns the time of the oldest part of a response that the client has not received.
    pub fn unsent_since(&self) -> Option<Instant> {
        self.state().unsent.values().min().copied()
    }

    /// Begins a request. It ends when the returned value is dropped.
    pub fn begin(&self) -> ActiveRequest {
        let mut state = self.state();
        let number = state.started;
        state.started += 1;
        state.active += 1;
        drop(state);
        ActiveRequest {
            activity: self.clone(),
            number,
        }
    }

    fn state(&self) -> MutexGuard<'_, ActivityState> {
        // No method panics while it changes the state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that has not ended.
#[derive(Debug)]
pub struct ActiveRequest {
    activity: Activity,
    number: u64,
}

impl ActiveRequest {
    /// Marks that a part of the response was handed to the connection.
    pub fn part_ready(&self) {
        self.activity
            .state()
            .unsent
            .insert(self.number, Instant::now());
    }

    /// Marks that the connection asks for the next part of the response.
    pub fn part_requested(&self) {
        self.activity.state().unsent.remove(&self.number);
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.active -= 1;
        state.idle_since = Instant::now();
        state.unsent.remove(&self.number);
    }
}
