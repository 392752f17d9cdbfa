//! Commands whose effects can be counted afterwards: each event says which command it is of, and how many
//! events that has.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use factum::RetryPolicy;
use factum::prelude::*;

/// Whoever works against a database that comes and goes.
pub const PATIENT: RetryPolicy = RetryPolicy {
    attempts: 1_000,
    base: Duration::from_millis(5),
    cap: Duration::from_millis(100),
};

/// What a command leaves in each of its jars, twice.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "jar")]
pub enum JarEvent {
    /// Something was put in.
    Filled {
        /// By which command.
        command: String,
        /// How many events the command has, in all its jars.
        count: u64,
    },
}

/// A stream to append to.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "jar", id = String, event = JarEvent)]
pub struct Jar;

impl Apply<JarEvent> for Jar {
    fn apply(&mut self, _: &JarEvent) {}
}

/// Puts two events into each of the jars.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Vec<Jar>)]
pub struct Fill {
    #[id]
    jars: Vec<String>,
    /// Unlike that of any other command.
    pub name: String,
    /// Whether it goes under an idempotency key.
    #[serde(skip)]
    pub keyed: bool,
}

impl Fill {
    /// Command number `turn` of `writer`. One to three jars: the writer's own, one that all share, one that is
    /// new. Every other command is keyed.
    #[must_use]
    pub fn new(writer: &str, turn: u64) -> Self {
        let name = format!("{writer}.{turn}");
        let mut jars = vec![writer.to_owned(), "shared".to_owned(), name.clone()];
        jars.truncate(1 + (turn % 3) as usize);
        let keyed = turn.is_multiple_of(2);
        Self { jars, name, keyed }
    }

    /// The command of this name, which is not keyed, into these jars.
    #[must_use]
    pub fn into_jars(name: String, jars: Vec<String>) -> Self {
        let keyed = false;
        Self { jars, name, keyed }
    }

    /// Executes it, under its name as the key if it is keyed.
    ///
    /// # Errors
    /// As the engine's.
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

/// Puts one event into one jar.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Jar)]
pub struct Add {
    /// Which one.
    #[id]
    pub jar: String,
    /// Unlike that of any other command.
    pub name: String,
}

impl Decide for Add {
    type Error = Infallible;

    fn decide(&self, _: &Jar) -> Result<Events<JarEvent>, Infallible> {
        let (command, count) = (self.name.clone(), 1);
        Ok(JarEvent::Filled { command, count }.into())
    }
}

/// What the receipt of a command says; one line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The command's name.
    pub command: String,
    /// The position of its last event.
    pub position: u64,
    /// How many events it has.
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
            anyhow::bail!("{line:?} tells of no command");
        };
        Ok(Self {
            command: command.to_owned(),
            position: position.parse()?,
            count: count.parse()?,
        })
    }
}
