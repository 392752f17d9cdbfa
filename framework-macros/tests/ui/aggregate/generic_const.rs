use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "account", id = u32, event = AccountEvent)]
struct Account<const N: usize>;

impl<const N: usize> Apply<AccountEvent> for Account<N> {
    fn apply(&mut self, _: &AccountEvent) {}
}

fn main() {}
