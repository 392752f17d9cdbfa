//! The JSON form of foreign metadata: a text if possible, so that it is readable in a database.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};

/// The form of the bytes in JSON.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Form<'a> {
    Text(Cow<'a, str>),
    /// Not UTF-8, or with a zero byte, which the JSON types of some databases reject.
    Bytes {
        hex: String,
    },
}

/// Decoded bytes.
pub struct DecodedBytes(pub Bytes);

pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    let form = match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Form::Text(Cow::Borrowed(text)),
        _ => Form::Bytes {
            hex: encode_hex(bytes),
        },
    };
    form.serialize(serializer)
}

impl<'de> Deserialize<'de> for DecodedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Self(Bytes::from(text.into_owned()))),
            Form::Bytes { hex } => {
                let bytes = decode_hex(&hex);
                let bytes =
                    bytes.ok_or_else(|| D::Error::custom("expected pairs of hex digits"))?;
                Ok(Self(bytes.into()))
            }
        }
    }
}

fn encode_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    });
    pairs.collect()
}
