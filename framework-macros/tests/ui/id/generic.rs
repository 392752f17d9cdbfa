use factum::prelude::*;

#[derive(Id)]
struct AccountId<T>(T);

fn main() {}
