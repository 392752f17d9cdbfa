//! The secrets of webhooks, and the signature of deliveries by Standard Webhooks.
//!
//! See <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use factum::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::webhooks::domain::WebhookId;

/// The length of the key from which secrets are derived, in bytes.
pub const KEY_BYTES: usize = 32;

/// The key from which the secrets of all webhooks are derived.
///
/// A secret is not an event, because events are never deleted. The log has only the number of a secret.
#[derive(Clone)]
pub struct SecretKey([u8; KEY_BYTES]);

/// A secret that a webhook shares with its receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl SecretKey {
    /// Creates a key from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the secret of a webhook with this number.
    #[must_use]
    pub fn secret(&self, webhook: WebhookId, generation: u32) -> Secret {
        let text = format!("webhook secret\n{}\n{generation}", webhook.0);
        Secret(mac(&self.0, &[text.as_bytes()]))
    }
}

impl Secret {
    /// Reads a secret as receivers have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix("whsec_").unwrap_or(text);
        STANDARD.decode(encoded).ok().map(Self)
    }

    /// Returns the secret as receivers need it: `whsec_`, and the bytes in Base64.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }

    /// Returns the signature of a delivery with this id, time and body, with its version.
    #[must_use]
    pub fn sign(&self, id: &str, sent_at: Timestamp, body: &[u8]) -> String {
        let time = seconds(sent_at).to_string();
        let parts = [id.as_bytes(), b".", time.as_bytes(), b".", body];
        format!("v1,{}", STANDARD.encode(mac(&self.0, &parts)))
    }
}

/// Returns the value of the header `webhook-signature`.
///
/// It has one signature for each secret, separated by spaces.
#[must_use]
pub fn signatures(secrets: &[Secret], id: &str, sent_at: Timestamp, body: &[u8]) -> String {
    let signatures = secrets.iter().map(|secret| secret.sign(id, sent_at, body));
    signatures.collect::<Vec<_>>().join(" ")
}

/// Returns the seconds since 1970, the value of the header `webhook-timestamp`.
#[must_use]
pub fn seconds(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000_000)
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC accepts keys of every length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is valid");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use factum::Timestamp;
    use uuid::Uuid;

    use super::{Secret, SecretKey, signatures};
    use crate::webhooks::domain::WebhookId;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    /// The vectors are those of the published libraries, with ids and secrets of different forms.
    #[test]
    fn signature_equals_that_of_published_libraries() {
        for (secret, id, seconds, body, expected) in SIGNATURE_VECTORS {
            let secret = Secret::parse(secret).unwrap();
            let sent_at = Timestamp::from_micros(seconds * 1_000_000 + 999_999);
            assert_eq!(secret.sign(id, sent_at, body), *expected, "{id}");
        }
    }

    type SignatureVector = (&'static str, &'static str, i64, &'static [u8], &'static str);

    const SIGNATURE_VECTORS: &[SignatureVector] = &[
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            br#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "0193a5b0-7a57-7cc1-8d4e-5d3e7b1b2a3c",
            1700000000,
            "{\"name\":\"Zürich 😀\"}".as_bytes(),
            "v1,QFbsv45Ob8OlExUgstOk6+peHUMB3dp5ggTogTNa90I=",
        ),
        (
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "a",
            0,
            b"",
            "v1,nyI8u9KtZmFaY8k/GcBnoJXYP7WgQ2vPynpd+JPwAqQ=",
        ),
    ];

    #[test]
    fn rotated_secret_signs_beside_the_previous_one() {
        let key = SecretKey::new([7; 32]);
        let webhook = WebhookId(Uuid::from_u128(1));
        let secrets = [key.secret(webhook, 2), key.secret(webhook, 1)];
        assert!(secrets[0] != secrets[1]);
        assert!(secrets[0] != key.secret(WebhookId(Uuid::from_u128(2)), 2));
        let sent_at = Timestamp::from_micros(1_614_265_330_000_000);
        let header = signatures(&secrets, "a", sent_at, BODY);
        let both: Vec<&str> = header.split(' ').collect();
        let expected = secrets
            .each_ref()
            .map(|secret| secret.sign("a", sent_at, BODY));
        assert_eq!(both, expected);
        let text = secrets[0].to_text();
        assert_eq!(Secret::parse(&text).unwrap().to_text(), text);
        assert_eq!(text.len(), "whsec_".len() + 44);
    }
}
