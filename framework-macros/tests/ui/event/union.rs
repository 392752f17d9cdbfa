use factum::prelude::*;

#[derive(Event)]
union AccountEvent {
    amount: u64,
}

fn main() {}
