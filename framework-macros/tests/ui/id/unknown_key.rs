use factum::prelude::*;

#[derive(Id)]
#[id(prefix = "account")]
struct AccountId(u32);

fn main() {}
