use factum::prelude::*;

#[derive(Id, Debug, Clone, Serialize, Deserialize)]
struct AccountId(u32);

fn main() {}
