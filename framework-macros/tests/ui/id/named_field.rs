use factum::prelude::*;

#[derive(Id)]
struct AccountId {
    id: u32,
}

fn main() {}
