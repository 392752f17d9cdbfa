//! The file of users: its format, its rules, and the policy that it describes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use factum::Timestamp;
use factum::store::StreamId;
use serde::Deserialize;
use toml::value::Datetime;

use super::grants::{GrantedNames, Grants};
use super::password;
use super::policy::{Policy, Token, TokenHash, User};

/// The maximum length of the name of a user, a role or a token, in bytes.
const MAX_NAME: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersFile {
    #[serde(default)]
    users: BTreeMap<String, UserEntry>,
    #[serde(default)]
    roles: BTreeMap<String, RoleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    password: Option<String>,
    certificate: Option<String>,
    #[serde(default)]
    tokens: Vec<TokenEntry>,
    roles: Vec<String>,
    #[serde(default)]
    disabled: bool,
    expires: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEntry {
    name: String,
    sha256: String,
    expires: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEntry {
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    append: Vec<String>,
    #[serde(default)]
    documents: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    admin: bool,
}

/// The file of users cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsersFileError {
    /// The file cannot be read.
    #[error("cannot read the file of users {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has an unknown or missing key.
    ///
    /// The text of the line is not shown, because it can be a secret.
    #[error("the file of users is not valid: line {line}: {message}")]
    Syntax {
        /// The number of the line, from 1.
        line: usize,
        /// The violated rule.
        message: String,
    },
    /// The file violates rules.
    #[error("the file of users is not valid: {}", .0.join("; "))]
    Rules(Vec<String>),
}

/// Reads and checks the file of users.
///
/// # Errors
/// Returns all violated rules.
pub fn read(path: &Path) -> Result<Policy, UsersFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| UsersFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text)
}

/// Checks the text of a file of users.
///
/// # Errors
/// Returns all violated rules.
pub fn parse(text: &str) -> Result<Policy, UsersFileError> {
    let file = toml::from_str(text).map_err(|error| syntax_error(text, &error))?;
    let mut check = Check::default();
    let policy = check.policy(file);
    match check.violations.is_empty() {
        true => Ok(policy),
        false => Err(UsersFileError::Rules(check.violations)),
    }
}

fn syntax_error(text: &str, error: &toml::de::Error) -> UsersFileError {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.as_bytes().iter().take(start);
    UsersFileError::Syntax {
        line: 1 + before.filter(|byte| **byte == b'\n').count(),
        message: error.message().to_owned(),
    }
}

/// Collects the violated rules of a file.
#[derive(Default)]
struct Check {
    violations: Vec<String>,
}

impl Check {
    fn require(&mut self, is_met: bool, rule: impl FnOnce() -> String) {
        if !is_met {
            self.violations.push(rule());
        }
    }

    fn policy(&mut self, file: UsersFile) -> Policy {
        for (name, role) in &file.roles {
            self.role(name, role);
        }
        self.require(!file.users.is_empty(), || {
            "it has no users; add a table [users.NAME]".to_owned()
        });
        let mut policy = Policy::default();
        for (name, user) in file.users {
            self.user(&mut policy, &file.roles, name, user);
        }
        policy
    }

    fn role(&mut self, name: &str, role: &RoleEntry) {
        let place = format!("role {name:?}");
        self.name(&place, name);
        let lists = [&role.read, &role.append, &role.documents, &role.groups];
        for prefix in lists.into_iter().flatten() {
            let is_valid = prefix.is_empty() || prefix.parse::<StreamId>().is_ok();
            self.require(is_valid, || {
                format!("{place}: invalid prefix {prefix:?}; expected at most 512 bytes without control characters")
            });
            self.require(!prefix.ends_with('*'), || {
                format!("{place}: invalid prefix {prefix:?}; a prefix has no wildcard, so remove the `*`")
            });
        }
    }

    fn user(
        &mut self,
        policy: &mut Policy,
        roles: &BTreeMap<String, RoleEntry>,
        name: String,
        entry: UserEntry,
    ) {
        let place = format!("user {name:?}");
        self.name(&place, &name);
        self.require(!name.contains(':'), || {
            format!("{place}: a name must not contain `:`")
        });
        if let Some(hash) = &entry.password {
            let checked = password::check_hash(hash);
            self.require(checked.is_ok(), || {
                format!("{place}: invalid `password`; expected the output of `event-store hash-password`")
            });
        }
        if let Some(common_name) = entry.certificate {
            self.name(&place, &common_name);
            let other = policy.certificates.insert(common_name, name.clone());
            self.require(other.is_none(), || {
                format!("{place}: another user has the same `certificate`")
            });
        }
        let expires = self.time(&place, entry.expires);
        for token in entry.tokens {
            self.token(policy, &name, token);
        }
        policy.users.insert(
            name,
            User {
                password: entry.password,
                grants: Arc::new(self.grants(&place, roles, &entry.roles)),
                is_disabled: entry.disabled,
                expires,
            },
        );
    }

    fn token(&mut self, policy: &mut Policy, user: &str, entry: TokenEntry) {
        let place = format!("token {:?} of user {user:?}", entry.name);
        self.name(&place, &entry.name);
        let expires = self.time(&place, entry.expires);
        let Some(hash) = token_hash(&entry.sha256) else {
            let rule = "expected the output of `event-store create-token`";
            self.violations
                .push(format!("{place}: invalid `sha256`; {rule}"));
            return;
        };
        let token = Token {
            name: entry.name,
            user: user.to_owned(),
            expires,
        };
        let other = policy.tokens.insert(hash, token);
        self.require(other.is_none(), || {
            format!("{place}: another token has the same `sha256`")
        });
    }

    fn grants(
        &mut self,
        place: &str,
        roles: &BTreeMap<String, RoleEntry>,
        names: &[String],
    ) -> Grants {
        let mut granted = GrantedNames::default();
        for name in names {
            let role = roles.get(name);
            self.require(role.is_some(), || {
                format!("{place}: unknown role {name:?}; add a table [roles.{name}]")
            });
            let Some(role) = role else { continue };
            granted.read.extend(role.read.iter().cloned());
            granted.append.extend(role.append.iter().cloned());
            granted.documents.extend(role.documents.iter().cloned());
            granted.groups.extend(role.groups.iter().cloned());
            granted.is_admin |= role.admin;
        }
        Grants::new(granted)
    }

    fn name(&mut self, place: &str, name: &str) {
        let is_valid = !name.is_empty()
            && name.len() <= MAX_NAME
            && !name.contains(char::is_control)
            && name.trim() == name;
        self.require(is_valid, || {
            format!("{place}: invalid name; expected 1 to {MAX_NAME} bytes without control characters and outer spaces")
        });
    }

    fn time(&mut self, place: &str, time: Option<Datetime>) -> Option<Timestamp> {
        let time = time?.to_string();
        let parsed = time.parse().ok();
        self.require(parsed.is_some(), || {
            format!("{place}: invalid `expires`: {time}; expected a date, a time and an offset, for example 2027-01-31T00:00:00Z")
        });
        parsed
    }
}

fn token_hash(text: &str) -> Option<TokenHash> {
    let mut hash = TokenHash::default();
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    is_hex.then_some(hash)
}
