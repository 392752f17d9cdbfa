//! The personal data in events, and its data subjects.

use std::fmt;

use factum::__private::{PersonalField, Subject};
use factum::prelude::*;
use factum::privacy::Redacted;

#[derive(Event, Debug, Serialize, Deserialize)]
#[event(prefix = "order")]
#[serde(rename_all_fields = "camelCase")]
enum OrderEvent {
    Placed {
        #[serde(skip)]
        cached: u8,
        customer: Customer,
        #[serde(skip_serializing_if = "Option::is_none")]
        voucher: Option<u32>,
        #[personal(subject = customer)]
        ship_to: Address,
        #[serde(rename = "memo")]
        #[personal(subject = customer)]
        note: Option<String>,
        #[personal]
        #[serde(skip_serializing_if = "Vec::is_empty")]
        phone_numbers: Vec<String>,
    },
    Paid,
    Closed {
        r#type: String,
        #[personal(subject = r#type)]
        r#in: String,
    },
}

#[derive(Event, Serialize, Deserialize)]
struct Signed {
    #[personal]
    by: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Customer(u32);

impl fmt::Display for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "customer {}", self.0)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Address {
    street: String,
}

impl Redacted for Address {
    fn redacted() -> Self {
        let street = Redacted::redacted();
        Self { street }
    }
}

fn placed(phone_numbers: Vec<String>) -> OrderEvent {
    OrderEvent::Placed {
        cached: 0,
        customer: Customer(7),
        voucher: None,
        ship_to: Address {
            street: "Rue 1".to_owned(),
        },
        note: Some("thanks".to_owned()),
        phone_numbers,
    }
}

fn field(field: &'static str, subject: Subject, redacted: &str) -> PersonalField {
    PersonalField {
        field,
        subject,
        redacted: redacted.to_owned(),
    }
}

#[test]
fn personal_field_has_serialized_key() {
    let customer = || Subject::Id("customer 7".to_owned());
    assert_eq!(
        placed(vec!["1".to_owned()]).personal().unwrap(),
        [
            field("shipTo", customer(), r#"{"street":"[redacted]"}"#),
            field("memo", customer(), "null"),
            field("phoneNumbers", Subject::Stream, "[]"),
        ]
    );
    let closed = OrderEvent::Closed {
        r#type: "a".to_owned(),
        r#in: "b".to_owned(),
    };
    let subject = Subject::Id("a".to_owned());
    assert_eq!(
        closed.personal().unwrap(),
        [field("in", subject, r#""[redacted]""#)]
    );
    let signed = Signed {
        by: "Ada".to_owned(),
    };
    assert_eq!(
        signed.personal().unwrap(),
        [field("by", Subject::Stream, r#""[redacted]""#)]
    );
}

#[test]
fn skipped_personal_field_is_left_out() {
    let personal = placed(Vec::new()).personal().unwrap();
    let keys: Vec<_> = personal.iter().map(|personal| personal.field).collect();
    assert_eq!(keys, ["shipTo", "memo"]);
}

#[test]
fn event_without_personal_fields_has_no_data() {
    assert_eq!(OrderEvent::Paid.personal().unwrap(), []);
}

#[test]
fn event_type_lists_personal_fields() {
    let names = OrderEvent::TYPES
        .iter()
        .map(|event_type| event_type.personal);
    let expected: [&[&str]; 3] = [&["ship_to", "note", "phone_numbers"], &[], &["in"]];
    assert!(names.eq(expected));
}
