//! Compile-time checks that no two types share a stored name.
//!
//! A stored event or command is found again by its name only. If two types shared one, the wrong one would read it.

use crate::domain::event::StoredNames;

/// Fails to compile if two of `events` share an event type, an alias or a legacy event type.
///
/// # Panics
/// Panics if two events share a name. In a constant, that is a compile error.
pub const fn distinct_events(events: &[StoredNames]) {
    let mut first = 0;
    while first < events.len() {
        let mut second = first + 1;
        while second < events.len() {
            check_disjoint(&events[first], &events[second]);
            second += 1;
        }
        first += 1;
    }
}

/// Fails to compile if two of `commands` have the same name; each is a name and the Rust type.
///
/// # Panics
/// Panics if two commands have the same name. In a constant, that is a compile error.
pub const fn distinct_commands(commands: &[(&str, &str)]) {
    let mut first = 0;
    while first < commands.len() {
        let mut second = first + 1;
        while second < commands.len() {
            let (name, one) = commands[first];
            let (other_name, other) = commands[second];
            if equal(name, other_name) {
                let text = Text::new().push("two commands have the name \"").push(name);
                let text = text.push("\": `").push(one).push("` and `").push(other);
                let text = text.push("`; rename one with `#[command(name = \"…\")]`");
                panic!("{}", text.as_str());
            }
            second += 1;
        }
        first += 1;
    }
}

/// Panics if a name in the tree `names` is also in the tree `others`.
const fn check_disjoint(names: &StoredNames, others: &StoredNames) {
    let mut index = 0;
    while index < names.types.len() {
        let event_type = &names.types[index];
        check_name(event_type.name, names.rust_type, others);
        let mut alias = 0;
        while alias < event_type.aliases.len() {
            check_name(event_type.aliases[alias], names.rust_type, others);
            alias += 1;
        }
        index += 1;
    }
    let mut index = 0;
    while index < names.legacy.len() {
        check_disjoint(&names.legacy[index], others);
        index += 1;
    }
}

const fn check_name(name: &str, rust_type: &str, others: &StoredNames) {
    if let Some(other) = find(name, others) {
        let text = Text::new().push("two events have the event type \"");
        let text = text.push(name).push("\": `").push(rust_type);
        let text = text.push("` and `").push(other);
        let text = text.push("`; give one of them another `name` or `prefix`");
        panic!("{}", text.as_str());
    }
}

/// Returns the Rust type in the tree `names` that is stored as `name`.
const fn find(name: &str, names: &StoredNames) -> Option<&'static str> {
    let mut index = 0;
    while index < names.types.len() {
        let event_type = &names.types[index];
        if equal(name, event_type.name) {
            return Some(names.rust_type);
        }
        let mut alias = 0;
        while alias < event_type.aliases.len() {
            if equal(name, event_type.aliases[alias]) {
                return Some(names.rust_type);
            }
            alias += 1;
        }
        index += 1;
    }
    let mut index = 0;
    while index < names.legacy.len() {
        if let Some(found) = find(name, &names.legacy[index]) {
            return Some(found);
        }
        index += 1;
    }
    None
}

/// Returns whether two texts are equal, at compile time.
#[must_use]
pub const fn equal(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut index = 0;
    while index < left.len() && index < right.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    left.len() == right.len()
}

/// A text that is built at compile time, where `format!` is not available.
struct Text {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Text {
    const CAPACITY: usize = 1_024;

    const fn new() -> Self {
        Self {
            bytes: [0; Self::CAPACITY],
            len: 0,
        }
    }

    /// Adds `text`, unless the capacity is exceeded.
    const fn push(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        if self.len + text.len() <= Self::CAPACITY {
            let mut index = 0;
            while index < text.len() {
                self.bytes[self.len + index] = text[index];
                index += 1;
            }
            self.len += text.len();
        }
        self
    }

    const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "two types have the same stored name",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{StoredNames, distinct_commands, distinct_events};
    use crate::domain::event::EventType;
    use crate::error::panic_message;

    const fn event_type(name: &'static str, aliases: &'static [&'static str]) -> EventType {
        EventType {
            name,
            variant: "Variant",
            aliases,
            version: 1,
            upcasters: &[],
            tags: &[],
            personal: &[],
        }
    }

    const fn names(rust_type: &'static str, types: &'static [EventType]) -> StoredNames {
        StoredNames {
            rust_type,
            types,
            legacy: &[],
        }
    }

    const CAT: StoredNames = names("Cat", &[event_type("cat.fed", &["pet.fed"])]);
    const DOG: StoredNames = names("Dog", &[event_type("dog.fed", &[])]);
    const PET: StoredNames = names("Pet", &[event_type("pet.fed", &[])]);
    const OLD: StoredNames = StoredNames {
        rust_type: "Old",
        types: &[],
        legacy: &[DOG],
    };

    fn panic_of(check: impl FnOnce() + std::panic::UnwindSafe) -> String {
        panic_message(&*std::panic::catch_unwind(check).unwrap_err())
    }

    #[test]
    fn events_without_common_names_are_distinct() {
        distinct_events(&[CAT, DOG]);
        distinct_events(&[PET, OLD]);
    }

    #[test]
    fn alias_and_name_are_not_distinct() {
        let message = panic_of(|| distinct_events(&[DOG, CAT, PET]));
        assert_eq!(
            message,
            "panicked: two events have the event type \"pet.fed\": `Cat` and `Pet`; \
             give one of them another `name` or `prefix`"
        );
    }

    #[test]
    fn legacy_type_of_a_legacy_type_is_found() {
        const OLDER: StoredNames = StoredNames {
            rust_type: "Older",
            types: &[],
            legacy: &[OLD],
        };
        let message = panic_of(|| distinct_events(&[DOG, OLDER]));
        assert!(
            message.contains("\"dog.fed\": `Dog` and `Dog`"),
            "{message}"
        );
    }

    #[test]
    fn commands_with_one_name_are_not_distinct() {
        distinct_commands(&[("Remind", "a::Remind"), ("Feed", "b::Remind")]);
        let message = panic_of(|| {
            distinct_commands(&[
                ("Feed", "Feed"),
                ("Remind", "a::Remind"),
                ("Remind", "b::Remind"),
            ]);
        });
        assert_eq!(
            message,
            "panicked: two commands have the name \"Remind\": `a::Remind` and `b::Remind`; \
             rename one with `#[command(name = \"…\")]`"
        );
    }
}
