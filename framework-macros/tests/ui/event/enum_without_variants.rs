use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {}

fn main() {}
