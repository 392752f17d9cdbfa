//! A failure policy of the application decides by the error and the number of the attempt.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum::prelude::*;
use factum::runtime::{
    ConsumerError, ConsumerState, DeadLetterState, EventHandler, FailureAction, FailurePolicy,
    HandlerError, HandlerOptions, WaitError,
};
use factum_memory::MemoryStore;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "mail")]
enum MailEvent {
    Requested { to: String },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "mail", id = String, event = MailEvent)]
struct Mail;

impl Apply<MailEvent> for Mail {
    fn apply(&mut self, _: &MailEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Mail)]
struct Request {
    #[id]
    mail: String,
    to: String,
}

impl Decide for Request {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Mail) -> Result<Events<MailEvent>, Self::Error> {
        Ok(MailEvent::Requested {
            to: self.to.clone(),
        }
        .into())
    }
}

/// The reasons why a mail cannot be sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum SendError {
    #[error("the mail server is overloaded")]
    Overloaded,
    #[error("the address does not exist")]
    UnknownAddress,
    #[error("the password is wrong")]
    WrongPassword,
}

/// Sends mails; records each attempt by its address.
#[derive(Clone, Default)]
struct Mailer(Arc<Mutex<Vec<String>>>);

impl EventHandler<MailEvent> for Mailer {
    async fn handle(&self, event: &Recorded<MailEvent>) -> Result<(), HandlerError> {
        let MailEvent::Requested { to } = &event.event;
        self.0.lock().unwrap().push(to.clone());
        Err(match to.as_str() {
            "overloaded" => SendError::Overloaded,
            "unknown" => SendError::UnknownAddress,
            "locked" => SendError::WrongPassword,
            _ => return Ok(()),
        }
        .into())
    }
}

impl Mailer {
    fn attempts(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// The failures that a policy was asked about, as the address and the number of the attempt.
type Failures = Arc<Mutex<Vec<(String, u32)>>>;

/// Returns a policy that treats each error in its own way.
fn by_error(failures: &Failures) -> FailurePolicy {
    let failures = failures.clone();
    FailurePolicy::custom(move |failure| {
        let stream = failure.event.stream.key().to_owned();
        failures.lock().unwrap().push((stream, failure.attempt));
        let ConsumerError::Handler(error) = failure.error else {
            return FailureAction::DeadLetter;
        };
        match error.downcast_ref() {
            Some(SendError::Overloaded) if failure.attempt < 3 => {
                FailureAction::RetryAfter(Duration::from_millis(1))
            }
            Some(SendError::UnknownAddress) => FailureAction::Skip,
            Some(SendError::WrongPassword) => FailureAction::Stop,
            _ => FailureAction::DeadLetter,
        }
    })
}

async fn start(engine: &Engine, mailer: &Mailer, failures: &Failures) -> Runtime {
    let options = HandlerOptions::new(StartFrom::Beginning).failure_policy(by_error(failures));
    let builder = Runtime::builder(engine).handler("mails", mailer.clone(), options);
    builder.start().await.unwrap()
}

async fn request(engine: &Engine, mail: &str, to: &str) -> Receipt {
    let (mail, to) = (mail.to_owned(), to.to_owned());
    engine.execute(Request { mail, to }).await.unwrap()
}

#[tokio::test]
async fn policy_decides_by_error_and_attempt() {
    let engine = Engine::new(MemoryStore::new());
    let (mailer, failures) = (Mailer::default(), Failures::default());
    let runtime = start(&engine, &mailer, &failures).await;
    let mails = runtime.handler("mails").unwrap();

    for (mail, to) in [("a", "overloaded"), ("b", "unknown"), ("c", "ada")] {
        let receipt = request(&engine, mail, to).await;
        mails.wait_for(receipt.position()).await.unwrap();
    }
    let expected = ["overloaded", "overloaded", "overloaded", "unknown", "ada"];
    assert_eq!(mailer.attempts(), expected);
    let letters = mails.dead_letters().await.unwrap();
    let states: Vec<_> = letters
        .iter()
        .map(|it| (it.stream.key(), &it.state))
        .collect();
    assert!(
        matches!(
            states[..],
            [
                ("a", DeadLetterState::Failed { .. }),
                ("b", DeadLetterState::Skipped { .. }),
            ]
        ),
        "{states:?}"
    );
    let expected = [("a", 1), ("a", 2), ("a", 3), ("b", 1)];
    let expected = expected.map(|(mail, attempt)| (mail.to_owned(), attempt));
    assert_eq!(*failures.lock().unwrap(), expected);
    runtime.stop().await;
}

#[tokio::test]
async fn policy_stops_consumer_before_the_event() {
    let engine = Engine::new(MemoryStore::new());
    let (mailer, failures) = (Mailer::default(), Failures::default());
    let runtime = start(&engine, &mailer, &failures).await;
    let mails = runtime.handler("mails").unwrap();

    let before = request(&engine, "a", "ada").await.position();
    mails.wait_for(before).await.unwrap();
    let locked = request(&engine, "b", "locked").await;
    let error = mails.wait_for(locked.position()).await.unwrap_err();
    assert!(
        matches!(&error, WaitError::Stopped { name, position, error }
            if name == "handler:mails" && *position == before && error.contains("the password is wrong")),
        "{error:?}"
    );
    assert_eq!(mails.status().state, ConsumerState::Stopped);
    assert_eq!(mails.status().position, before);
    assert_eq!(mailer.attempts(), ["ada", "locked"]);
    assert!(mails.dead_letters().await.unwrap().is_empty());
    runtime.stop().await;
}
