use factum::prelude::*;

#[derive(Id)]
struct AccountId(Number);

#[derive(Serialize, Deserialize)]
struct Number(u32);

impl std::str::FromStr for Number {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

fn main() {}
