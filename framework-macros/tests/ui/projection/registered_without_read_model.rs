use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent)]
struct OpenAccounts(u64);

impl Project<AccountEvent> for OpenAccounts {
    fn project(&mut self, _: &Recorded<AccountEvent>) {
        self.0 += 1;
    }
}

fn run(engine: &Engine) {
    Runtime::builder(engine).projection(OpenAccounts::default());
}

fn main() {}
