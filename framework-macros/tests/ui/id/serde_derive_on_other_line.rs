use factum::prelude::*;

#[derive(Id, Debug, Clone)]
#[derive(serde::Serialize)]
struct AccountId(u32);

fn main() {}
