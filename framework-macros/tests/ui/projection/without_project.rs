use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent)]
struct Accounts {
    count: u64,
}

async fn start(engine: &Engine) {
    let _runtime = Runtime::builder(engine)
        .projection(InMemory::<Accounts>::new())
        .start()
        .await;
}

fn main() {}
