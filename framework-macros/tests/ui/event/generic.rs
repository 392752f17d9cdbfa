use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent<T> {
    Opened { owner: T },
}

fn main() {}
