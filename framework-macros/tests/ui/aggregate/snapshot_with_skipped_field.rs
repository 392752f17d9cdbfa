use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Aggregate, Default, Clone, Serialize, Deserialize)]
#[aggregate(category = "account", id = u32, event = AccountEvent, snapshot(every = 100))]
struct Account {
    #[serde(default, skip)]
    balance: i64,
    #[serde(skip_serializing)]
    limit: i64,
    #[serde(skip_deserializing)]
    owner: String,
}

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

fn main() {}
