use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(name = "accounts")]
struct Accounts {
    count: u64,
}

impl Project<AccountEvent> for Accounts {
    fn project(&mut self, _: &Recorded<AccountEvent>) {
        self.count += 1;
    }
}

fn main() {}
