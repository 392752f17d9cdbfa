use factum::prelude::*;

#[derive(Id)]
#[id(crate = factum)]
#[id(crate = factum)]
struct AccountId(u32);

fn main() {}
