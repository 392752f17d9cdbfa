//! Personal fields in catalogs and schema locks.

use factum::prelude::*;
use factum::schema::catalog::Catalog;
use factum::schema::events_lock;
use schemars::JsonSchema;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "guest")]
enum GuestEvent {
    Came {
        #[personal]
        name: String,
        room: u32,
    },
    Left,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "guest.came")]
struct Came {
    name: String,
    room: u32,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "guest.left")]
struct Left {}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "guest", id = u32, event = GuestEvent)]
struct Guest;

impl Apply<GuestEvent> for Guest {
    fn apply(&mut self, _: &GuestEvent) {}
}

#[test]
fn catalog_lists_personal_fields() {
    let catalog = Catalog::new("Hotel").aggregate::<Guest>();
    let page = catalog.to_markdown();
    assert!(
        page.contains("Schema version 1. Personal data: `name`."),
        "{page}"
    );
    let schema = &catalog.to_json_schema()["$defs"];
    assert_eq!(schema["event.guest.came"]["x-personal"][0], "name");
    assert!(schema["event.guest.left"].get("x-personal").is_none());
    let messages = &catalog.to_asyncapi()["components"]["messages"];
    assert_eq!(messages["guest.came"]["x-personal"][0], "name");
}

#[test]
fn lock_records_whether_field_is_personal() {
    let personal = events_lock("unused").event::<GuestEvent>();
    let before = personal.compare("").expect("a first lock");
    assert!(before.contains(r#""personal""#), "{before}");
    assert_eq!(
        personal.compare(&before).expect("an unchanged lock"),
        before
    );
    let plain = events_lock("unused").event::<Came>().event::<Left>();
    let after = plain.compare(&before).expect("a compatible change");
    assert_ne!(after, before);
    assert!(!after.contains(r#""personal""#), "{after}");
}
