use factum::prelude::*;

fn main() {
    let _ = Engine::new("bank.db");
}
