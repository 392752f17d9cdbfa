use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Event, Serialize, Deserialize)]
enum CardEvent {
    Issued,
}

#[derive(Event, Serialize, Deserialize)]
enum LoanEvent {
    Granted,
}

#[derive(Projection, Default)]
#[projection(events = (AccountEvent, CardEvent, LoanEvent))]
struct Accounts {
    count: u64,
}

impl Project<AccountEvent> for Accounts {
    fn project(&mut self, _: &Recorded<AccountEvent>) {}
}

impl Project<LoanEvent> for Accounts {
    fn project(&mut self, _: &Recorded<LoanEvent>) {}
}

async fn start(engine: &Engine) {
    let _runtime = Runtime::builder(engine)
        .projection(InMemory::<Accounts>::new())
        .start()
        .await;
}

fn main() {}
