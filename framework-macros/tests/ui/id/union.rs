use factum::prelude::*;

#[derive(Id)]
union AccountId {
    number: u32,
}

fn main() {}
