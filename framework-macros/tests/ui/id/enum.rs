use factum::prelude::*;

#[derive(Id)]
enum AccountId {
    Number(u32),
}

fn main() {}
