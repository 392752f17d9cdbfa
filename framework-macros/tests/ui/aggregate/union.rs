use factum::prelude::*;

#[derive(Aggregate)]
union Account {
    balance: u64,
}

fn main() {}
