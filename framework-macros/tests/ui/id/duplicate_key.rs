use factum::prelude::*;

#[derive(Id)]
#[id(crate = factum, crate = factum)]
struct AccountId(u32);

fn main() {}
