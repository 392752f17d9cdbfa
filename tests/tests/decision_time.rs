//! Decisions that depend on the time, and the metadata of a command that is set in steps.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use factum::Timestamp;
use factum::engine::{Clock as _, Execute};
use factum::prelude::*;
use factum::store::Metadata;
use factum_memory::MemoryStore;
use factum_testkit::{VirtualClock, given};

const DAY: Duration = Duration::from_hours(24);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "loan")]
enum LoanEvent {
    Lent {
        #[tag]
        member: u32,
        until: Timestamp,
    },
    Fined,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "loan", id = u32, event = LoanEvent)]
struct Loan {
    until: Option<Timestamp>,
}

impl Apply<LoanEvent> for Loan {
    fn apply(&mut self, event: &LoanEvent) {
        if let LoanEvent::Lent { until, .. } = event {
            self.until = Some(*until);
        }
    }
}

/// The number of loans of a member.
#[derive(Debug, Default)]
struct Loans(u32);

impl Apply<LoanEvent> for Loans {
    fn apply(&mut self, _: &LoanEvent) {
        self.0 += 1;
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("not overdue, or too many loans")]
struct Refused;

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Loan, query = Loans, now)]
struct Lend {
    #[id]
    loan: u32,
    #[tag]
    member: u32,
}

impl Decide for Lend {
    type Error = Refused;
    fn decide(
        &self,
        ((_, loans), now): ((&Loan, &Loans), Timestamp),
    ) -> Result<Events<LoanEvent>, Refused> {
        if loans.0 > 1 {
            return Err(Refused);
        }
        let (member, until) = (self.member, now + 14 * DAY);
        Ok(LoanEvent::Lent { member, until }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Loan, now)]
struct Fine {
    #[id]
    loan: u32,
}

impl Decide for Fine {
    type Error = Refused;
    fn decide(&self, (loan, now): (&Loan, Timestamp)) -> Result<Events<LoanEvent>, Refused> {
        match loan.until {
            Some(until) if until < now => Ok(LoanEvent::Fined.into()),
            _ => Err(Refused),
        }
    }
}

#[tokio::test]
async fn decision_receives_the_time_of_the_engine() {
    let clock = VirtualClock::new();
    let engine = Engine::builder(MemoryStore::new())
        .clock(clock.clone())
        .build();
    let lend = || engine.execute(Lend { loan: 1, member: 7 });
    let before = clock.now();
    let lent = lend().idempotency_key("k").await.unwrap();
    let until = engine.load::<Loan>(&1).await.unwrap().until.unwrap();
    assert!(until >= before + 14 * DAY && until <= clock.now() + 14 * DAY);
    clock.advance(10 * DAY);
    let again = lend().idempotency_key("k").await.unwrap();
    assert!(again.repeated());
    assert_eq!(again.events(), lent.events());

    let fine = || engine.execute(Fine { loan: 1 });
    assert!(matches!(fine().await, Err(ExecuteError::Rejected(Refused))));
    clock.advance(5 * DAY);
    fine().await.unwrap();
}

#[test]
fn scenario_decides_at_the_given_time() {
    let at = Timestamp::from_micros(1_000_000);
    let lent = LoanEvent::Lent {
        member: 7,
        until: at + 14 * DAY,
    };
    given(((), ()))
        .at(at)
        .when(Lend { loan: 1, member: 7 })
        .then([lent.clone()]);
    let fine = Fine { loan: 1 };
    given([lent.clone()])
        .at(at + 14 * DAY)
        .when(fine.clone())
        .then_rejected(Refused);
    given([lent])
        .at(at + 15 * DAY)
        .when(fine)
        .then([LoanEvent::Fined]);
}

#[tokio::test]
async fn metadata_is_set_in_steps() {
    let engine = Engine::new(MemoryStore::new());
    let mut request = Metadata::default();
    request.reason = Some("a request".to_owned());
    request.extra.insert("b".to_owned(), 2.into());
    let mut route = Metadata::default();
    route.actor = Some("bob".to_owned());
    route.extra.insert("a".to_owned(), 1.into());
    let key: Option<&str> = None;
    let receipt = engine
        .execute(Lend { loan: 1, member: 7 })
        .by("ada")
        .tenant("north")
        .metadata(request)
        .metadata(route)
        .maybe(key, Execute::idempotency_key)
        .maybe(Some("in person"), Execute::because)
        .maybe(None, |execute, tenant: String| execute.tenant(tenant))
        .await
        .unwrap();
    let metadata = &receipt.events()[0].metadata;
    assert_eq!(metadata.actor.as_deref(), Some("bob"));
    assert_eq!(metadata.reason.as_deref(), Some("in person"));
    assert_eq!(metadata.tenant.as_deref(), Some("north"));
    let extra: Vec<_> = metadata.extra.keys().collect();
    assert_eq!(extra, ["a", "b"]);
}
