//! [`Reactions`]: what shall follow.

use std::marker::PhantomData;
use std::time::Duration;

use serde_json::Value;

use super::{ProcessManager, SentBy};
use crate::command::Decide;
use factum_core::timestamp::Timestamp;

/// What shall follow, in this order. Nothing of it happens before the state is kept; all of it happens then.
#[derive(Debug)]
pub struct Reactions<P> {
    instance: String,
    at: Timestamp,
    orders: Vec<Order>,
    fault: Option<String>,
    of: PhantomData<fn() -> P>,
}

/// One reaction, without its types.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    Send {
        command: &'static str,
        version: u32,
        body: Value,
    },
    Deadline {
        name: String,
        due: Timestamp,
    },
    Cancel {
        name: String,
    },
    Complete,
}

/// When a deadline is due: at a [`Timestamp`], or a [`Duration`] after what led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Then.
    At(Timestamp),
    /// So long after what led to it happened.
    After(Duration),
}

impl When {
    /// The time, for what happened `at`.
    #[must_use]
    pub fn due(self, at: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::After(duration) => at + duration,
        }
    }
}

impl From<Timestamp> for When {
    fn from(time: Timestamp) -> Self {
        Self::At(time)
    }
}

impl From<Duration> for When {
    fn from(duration: Duration) -> Self {
        Self::After(duration)
    }
}

impl<P: ProcessManager> Reactions<P> {
    pub fn new(instance: &str, at: Timestamp) -> Self {
        Self {
            instance: instance.to_owned(),
            at,
            orders: Vec::new(),
            fault: None,
            of: PhantomData,
        }
    }

    pub fn finish(self) -> Result<Vec<Order>, String> {
        match self.fault {
            None => Ok(self.orders),
            Some(fault) => Err(fault),
        }
    }

    /// Which instance reacts, as the text of its id. `then.instance().parse()` gives the id again where its type is
    /// [`FromStr`](std::str::FromStr), as numbers, UUIDs and what derives `Id` are.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// When what leads to these reactions happened: the event was stored, the deadline was due.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Executes `command`. Commands of one instance are executed in the order in which they were sent.
    #[expect(clippy::needless_pass_by_value, reason = "what is sent is given away")]
    pub fn send<C: Decide + SentBy<P>>(&mut self, command: C) -> &mut Self {
        match serde_json::to_value(&command) {
            Ok(body) => self.orders.push(Order::Send {
                command: C::NAME,
                version: C::VERSION,
                body,
            }),
            Err(error) => {
                let fault = || format!("the command {} cannot be encoded: {error}", C::NAME);
                self.fault.get_or_insert_with(fault);
            }
        }
        self
    }

    /// Sets the deadline `name`: at a [`Timestamp`], or a [`Duration`] after [`at`](Self::at). If there is one of that
    /// name, it moves.
    pub fn deadline(&mut self, name: impl Into<String>, when: impl Into<When>) -> &mut Self {
        let due = when.into().due(self.at);
        let name = name.into();
        self.orders.push(Order::Deadline { name, due });
        self
    }

    /// Cancels the deadline `name`, if there is one.
    pub fn cancel(&mut self, name: impl Into<String>) -> &mut Self {
        self.orders.push(Order::Cancel { name: name.into() });
        self
    }

    /// The instance has done what it was for. Its state and its deadlines go; what it has sent is still executed, and
    /// nobody hears of a rejection.
    pub fn complete(&mut self) -> &mut Self {
        self.orders.push(Order::Complete);
        self
    }
}
