//! Commands whose effects can be counted: each event names its command and the number of that command's events.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;

/// A retry policy for tests that stop and restart their database.
pub const PATIENT: RetryPolicy = RetryPolicy {
    attempts: 1_000,
    base: Duration::from_millis(5),
    cap: Duration::from_millis(100),
};

/// An event of a jar; a [`Fill`] command stores it twice in each of its jars.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "jar")]
pub enum JarEvent {
    /// Something was put into the jar.
    Filled {
        /// The name of the command.
        command: String,
        /// The number of events of the command, in all its jars.
        count: u64,
    },
}

/// An aggregate without state: a stream to append to.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "jar", id = String, event = JarEvent)]
pub struct Jar;

impl Apply<JarEvent> for Jar {
    fn apply(&mut self, _: &JarEvent) {}
}

/// A command that puts two events into each of its jars.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Vec<Jar>)]
pub struct Fill {
    #[id]
    jars: Vec<String>,
    /// The unique name of the command.
    pub name: String,
    /// Whether the command has an idempotency key.
    #[serde(skip)]
    pub keyed: bool,
}

impl Fill {
    /// Creates command number `turn` of `writer`; every second command has a key.
    ///
    /// It has one to three jars: the writer's own, one that all writers share, and a new one.
    #[must_use]
    pub fn new(writer: &str, turn: u64) -> Self {
        let name = format!("{writer}.{turn}");
        let mut jars = vec![writer.to_owned(), "shared".to_owned(), name.clone()];
        jars.truncate(1 + (turn % 3) as usize);
        let keyed = turn.is_multiple_of(2);
        Self { jars, name, keyed }
    }

    /// Creates a command without a key that fills these jars.
    #[must_use]
    pub fn into_jars(name: String, jars: Vec<String>) -> Self {
        let keyed = false;
        Self { jars, name, keyed }
    }

    /// Executes the command. If it is keyed, its name is the idempotency key.
    ///
    /// # Errors
    /// Returns the error of the engine.
    pub async fn execute(&self, engine: &Engine) -> Result<Acknowledged, ExecuteError<Infallible>> {
        let execute = engine.execute(self.clone());
        let receipt = match self.keyed {
            true => execute.idempotency_key(&self.name).await?,
            false => execute.await?,
        };
        Ok(Acknowledged {
            command: self.name.clone(),
            position: receipt.position().get(),
            count: self.count(),
        })
    }

    fn count(&self) -> u64 {
        self.jars.len() as u64 * 2
    }
}

impl Decide for Fill {
    type Error = Infallible;

    fn decide(&self, _: Vec<&Jar>) -> Result<Vec<Events<JarEvent>>, Infallible> {
        let filled = JarEvent::Filled {
            command: self.name.clone(),
            count: self.count(),
        };
        let twice = |_: &String| Events::from(filled.clone()).and(filled.clone());
        Ok(self.jars.iter().map(twice).collect())
    }
}

/// A command that puts one event into one jar.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Jar)]
pub struct Add {
    /// The jar to fill.
    #[id]
    pub jar: String,
    /// The unique name of the command.
    pub name: String,
}

impl Decide for Add {
    type Error = Infallible;

    fn decide(&self, _: &Jar) -> Result<Events<JarEvent>, Infallible> {
        let (command, count) = (self.name.clone(), 1);
        Ok(JarEvent::Filled { command, count }.into())
    }
}

/// The receipt of a command, which is printed and parsed as one line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The name of the command.
    pub command: String,
    /// The position of the last event.
    pub position: u64,
    /// The number of events.
    pub count: u64,
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.command, self.position, self.count)
    }
}

impl FromStr for Acknowledged {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [command, position, count] = words[..] else {
            anyhow::bail!("invalid line: {line:?}; expected `<command> <position> <count>`");
        };
        Ok(Self {
            command: command.to_owned(),
            position: position.parse()?,
            count: count.parse()?,
        })
    }
}
