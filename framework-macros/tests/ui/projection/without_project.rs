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

fn start(engine: &Engine) -> Projections {
    Projections::builder(engine)
        .with(InMemory::<Accounts>::new())
        .start()
}

fn main() {}
