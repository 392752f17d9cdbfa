use factum::prelude::*;

#[derive(Id)]
struct AccountId(Number);

#[derive(Serialize, Deserialize)]
struct Number(u32);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn main() {}
