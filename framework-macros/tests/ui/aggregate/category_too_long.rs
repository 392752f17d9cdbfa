use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(
    category = "this_category_is_longer_than_the_limit_of_sixty_four_bytes_for_a_name",
    id = u32,
    event = AccountEvent
)]
struct Account;

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

fn main() {}
