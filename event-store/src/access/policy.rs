//! [`Policy`]: the users of the server, their credentials and permissions.

use std::collections::HashMap;
use std::sync::Arc;

use factum::Timestamp;
use factum_server::tls::PeerCertificate;

use super::grants::Grants;

/// The users of the server at one time. A reload replaces it as a whole.
#[derive(Debug, Default)]
pub struct Policy {
    /// The users by their names.
    pub users: HashMap<String, User>,
    /// The tokens by their SHA-256.
    pub tokens: HashMap<TokenHash, Token>,
    /// The names of users by the common name of their certificate.
    pub certificates: HashMap<String, String>,
}

/// The SHA-256 of a token.
pub type TokenHash = [u8; 32];

/// A user.
#[derive(Debug)]
pub struct User {
    /// The hash of the password; `None` if the user has none.
    pub password: Option<String>,
    /// The permissions.
    pub grants: Arc<Grants>,
    /// Set if the user cannot authenticate.
    pub is_disabled: bool,
    /// The time after which the user cannot authenticate.
    pub expires: Option<Timestamp>,
}

/// A token.
#[derive(Debug)]
pub struct Token {
    /// The name of the token in logs.
    pub name: String,
    /// The name of its user.
    pub user: String,
    /// The time after which the token is not valid.
    pub expires: Option<Timestamp>,
}

/// The proof by which a caller was recognized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The password with this hash.
    Password(String),
    /// The token with this hash.
    Token(TokenHash),
    /// A certificate.
    Certificate(ClientCertificate),
}

/// A verified certificate of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The common name of the subject.
    pub common_name: String,
    /// The end of the validity.
    pub until: Timestamp,
}

impl ClientCertificate {
    /// Returns the facts of a certificate; `None` if its subject has no common name.
    #[must_use]
    pub fn new(certificate: &PeerCertificate) -> Option<Self> {
        Some(Self {
            common_name: certificate.common_name()?.to_owned(),
            until: Timestamp::from_micros(certificate.not_after().saturating_mul(1_000_000)),
        })
    }
}

/// The permissions of a caller, and the time until which its credentials are valid.
#[derive(Debug, Clone)]
pub struct Validity {
    /// The permissions.
    pub grants: Arc<Grants>,
    /// The time after which the credentials are not valid.
    pub until: Option<Timestamp>,
}

impl Policy {
    /// Returns the permissions of the user with this proof; `None` if it is not valid, or not any more.
    #[must_use]
    pub fn validate(&self, user: &str, proof: &Proof, now: Timestamp) -> Option<Validity> {
        let known = self.users.get(user)?;
        let expires = match proof {
            Proof::Password(hash) => {
                (known.password.as_ref() == Some(hash)).then_some(known.expires)?
            }
            Proof::Token(hash) => {
                let token = self.tokens.get(hash).filter(|token| token.user == user)?;
                earliest(known.expires, token.expires)
            }
            Proof::Certificate(certificate) => {
                let owner = self.certificates.get(&certificate.common_name);
                owner.filter(|owner| *owner == user)?;
                earliest(known.expires, Some(certificate.until))
            }
        };
        let is_valid = !known.is_disabled && expires.is_none_or(|expires| now < expires);
        is_valid.then(|| Validity {
            grants: known.grants.clone(),
            until: expires,
        })
    }
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
