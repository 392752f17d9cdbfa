use factum::prelude::*;

#[derive(Id)]
struct AccountId(u32, u32);

fn main() {}
