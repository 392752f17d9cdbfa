use factum::prelude::*;

#[derive(Id)]
struct AccountId;

fn main() {}
