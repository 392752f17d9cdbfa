//! Events of every shape.

use factum::prelude::*;
use factum::event::{EventType, UpcastError};
use serde_json::Value;

#[derive(Event, Serialize, Deserialize)]
enum Bare {
    Unit,
    NewType(u32),
    Tuple(u32, String),
    Named { text: String },
    r#Move { r#type: u32 },
    Empty {},
}

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "course")]
enum CourseEvent {
    Opened {
        #[tag]
        course: u32,
        #[tag("teacher")]
        held_by: Option64,
        #[tag("teacher")]
        assisted_by: Option64,
        title: String,
    },
    Joined(#[tag("course")] u32, #[tag("student")] String),
    Retyped {
        #[tag]
        r#type: u32,
    },
    #[event(name = "course.shut", version = 3, upcast = [same, events::same_too])]
    Closed,
    #[event(version = 2, upcast = same)]
    #[serde(rename = "archived", alias = "stored")]
    Archived {
        #[serde(rename = "by", default)]
        actor: String,
        #[serde(skip)]
        cached: u8,
    },
}

#[derive(Serialize, Deserialize)]
struct Option64(i64);

impl std::fmt::Display for Option64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn same(old: Value) -> Result<Value, UpcastError> {
    Ok(old)
}

mod events {
    pub fn same_too(old: super::Value) -> Result<super::Value, factum::event::UpcastError> {
        Ok(old)
    }
}

#[derive(Event, Serialize, Deserialize)]
struct NamedFact {
    #[tag]
    course: u32,
}

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "fact")]
struct TupleFact(#[tag("course")] u32, String);

#[derive(Event, Serialize, Deserialize)]
#[event(name = "the.unit", version = 2, upcast = same)]
struct UnitFact;

// The generated code does not depend on names in scope.
mod shadowed {
    #[derive(factum::Event, factum::prelude::Serialize, factum::prelude::Deserialize)]
    pub enum Option {
        Some { self_: u8 },
        None,
    }

    #[allow(dead_code)]
    mod factum_ {}
    #[allow(dead_code)]
    struct Result;
    #[allow(dead_code)]
    struct Vec;
}

// The tokens of a field can have another span context than the derive.
macro_rules! fact {
    ($name:ident, $field:ident: $type:ty) => {
        #[derive(Event, Serialize, Deserialize)]
        struct $name {
            #[tag]
            $field: $type,
        }
    };
}
fact!(Generated, number: u32);

mod renamed {
    pub mod inner {
        pub use ::factum as framework;
    }

    #[derive(factum::Event, factum::prelude::Serialize, factum::prelude::Deserialize)]
    #[event(crate = inner::framework)]
    pub enum Elsewhere {
        Happened {
            #[tag]
            to: u32,
        },
    }
}

fn names<E: Event>() -> Vec<&'static str> {
    E::TYPES
        .iter()
        .map(|EventType { name, .. }| *name)
        .collect()
}

fn main() {
    assert_eq!(
        names::<Bare>(),
        ["unit", "new_type", "tuple", "named", "move", "empty"]
    );
    assert_eq!(
        names::<CourseEvent>(),
        [
            "course.opened",
            "course.joined",
            "course.retyped",
            "course.shut",
            "course.archived"
        ]
    );
    assert_eq!(names::<NamedFact>(), ["named_fact"]);
    assert_eq!(names::<TupleFact>(), ["fact.tuple_fact"]);
    assert_eq!(names::<UnitFact>(), ["the.unit"]);
    assert_eq!(names::<shadowed::Option>(), ["some", "none"]);
    assert_eq!(names::<Generated>(), ["generated"]);
    assert_eq!(names::<renamed::Elsewhere>(), ["happened"]);
}
