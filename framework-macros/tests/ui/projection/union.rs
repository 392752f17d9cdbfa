use factum::prelude::*;

#[derive(Projection)]
#[projection(events = u32)]
union Accounts {
    count: u64,
}

fn main() {}
