use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Aggregate, Default, Clone, Serialize, Deserialize)]
#[aggregate(category = "account", id = u32, event = AccountEvent, snapshot(every = 100))]
enum Account {
    #[default]
    New,
    #[serde(skip)]
    Open,
}

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

fn main() {}
