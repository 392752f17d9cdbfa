//! [`Authenticator`]: recognizes the caller of a request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use factum::Timestamp;
use factum::store::StoreError;
use factum_store_protocol::refusal::{store_status, throttled_status};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::HeaderMap;
use sha2::Sha256;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tonic::Status;

use super::credentials::HeaderCredentials;
use super::password;
use super::policy::{ClientCertificate, Policy, Proof};
use super::principal::Principal;
use super::refusals::{RefusalReason, record_unauthenticated};
use super::throttle::Throttle;

/// The time for which a verified password is remembered after its last use.
const REMEMBERED: Duration = Duration::from_secs(300);

/// The maximum number of remembered passwords.
const MAX_REMEMBERED: usize = 10_000;

/// The maximum number of passwords that are verified at the same time.
const MAX_VERIFICATIONS: usize = 2;

/// The client of a connection.
#[derive(Debug, Clone, Default)]
pub struct ClientOrigin {
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// Its verified certificate.
    pub certificate: Option<ClientCertificate>,
}

/// The keyed hash of a user and a password.
type CacheKey = [u8; 32];

/// A verification whose result is shared by the requests with the same password.
type Verification = Shared<BoxFuture<'static, bool>>;

/// A password that was verified, or that is being verified.
enum Remembered {
    /// The password had this hash, and is remembered until then.
    Verified { hash: String, until: Instant },
    /// The password is compared with this hash, or with none.
    Pending {
        hash: Option<String>,
        result: Verification,
    },
}

/// Recognizes the callers of requests by the current policy.
pub struct Authenticator {
    policies: watch::Receiver<Arc<Policy>>,
    /// The random key of the cache, so that its entries do not help to guess a password.
    cache_key: [u8; 64],
    verifier: Arc<Verifier>,
}

/// Verifies passwords, and remembers the right ones.
struct Verifier {
    cache: Mutex<HashMap<CacheKey, Remembered>>,
    throttle: Throttle,
    permits: Semaphore,
}

impl Authenticator {
    /// Creates the authenticator of a server.
    ///
    /// # Errors
    /// Returns an error if the system has no random numbers.
    pub fn new(policies: watch::Receiver<Arc<Policy>>) -> Result<Self, getrandom::Error> {
        let mut cache_key = [0; 64];
        getrandom::fill(&mut cache_key)?;
        Ok(Self {
            policies,
            cache_key,
            verifier: Arc::new(Verifier {
                cache: Mutex::default(),
                throttle: Throttle::default(),
                permits: Semaphore::new(MAX_VERIFICATIONS),
            }),
        })
    }

    /// Recognizes the caller of a request by its headers, or by the certificate of its connection.
    ///
    /// # Errors
    /// Returns UNAUTHENTICATED, which does not show whether the user exists, or RESOURCE_EXHAUSTED after too many failed
    /// attempts.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: &ClientOrigin,
    ) -> Result<Principal, Status> {
        let credentials = HeaderCredentials::from_headers(headers);
        let credentials = credentials.map_err(|_| {
            let reason = "the header `authorization` is not valid; expected `Basic` or `Bearer`";
            unauthenticated(RefusalReason::Invalid, peer, None, reason)
        })?;
        match credentials {
            Some(HeaderCredentials::Bearer(token)) => self.token(&token, peer),
            Some(HeaderCredentials::Basic { user, password }) => {
                self.password(user, password, peer).await
            }
            None => self.certificate(peer),
        }
    }

    fn token(&self, token: &str, peer: &ClientOrigin) -> Result<Principal, Status> {
        let hash = password::token_hash(token);
        let user = self
            .policy()
            .tokens
            .get(&hash)
            .map(|token| token.user.clone());
        let caller = user.and_then(|user| self.caller(user, Proof::Token(hash)));
        caller.ok_or_else(|| invalid(peer, None))
    }

    fn certificate(&self, peer: &ClientOrigin) -> Result<Principal, Status> {
        let Some(certificate) = &peer.certificate else {
            let reason = "the request has no credentials; send the header `authorization` with `Basic` or `Bearer`";
            return Err(unauthenticated(RefusalReason::Missing, peer, None, reason));
        };
        let name = &certificate.common_name;
        let user = self.policy().certificates.get(name).cloned();
        let proof = Proof::Certificate(certificate.clone());
        let caller = user.and_then(|user| self.caller(user, proof));
        caller.ok_or_else(|| invalid(peer, Some(name)))
    }

    async fn password(
        &self,
        user: String,
        password: String,
        peer: &ClientOrigin,
    ) -> Result<Principal, Status> {
        let key = self.cache_key(&user, &password);
        let hash = self
            .policy()
            .users
            .get(&user)
            .and_then(|user| user.password.clone());
        let verified = self
            .verifier
            .start(key, &user, password, hash.clone(), peer.address);
        let verified = verified.map_err(|wait| {
            record_unauthenticated(RefusalReason::Throttled, peer.address, Some(&user));
            throttled_status(wait)
        })?;
        let is_right = match verified {
            Started::Remembered => true,
            Started::Pending(result) => result.await,
        };
        let proof = hash.filter(|_| is_right).map(Proof::Password);
        let caller = proof.and_then(|proof| self.caller(user.clone(), proof));
        caller.ok_or_else(|| invalid(peer, Some(&user)))
    }

    fn caller(&self, user: String, proof: Proof) -> Option<Principal> {
        self.policy().validate(&user, &proof, Timestamp::now())?;
        Some(Principal::known(user, proof, self.policies.clone()))
    }

    fn cache_key(&self, user: &str, password: &str) -> CacheKey {
        // A name of a user has no `:`.
        let mut mac = Hmac::<Sha256>::new(&self.cache_key.into());
        mac.update(user.as_bytes());
        mac.update(b":");
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn policy(&self) -> Arc<Policy> {
        self.policies.borrow().clone()
    }
}

/// The verification of a password.
enum Started {
    /// The password was verified before.
    Remembered,
    /// The password is being verified.
    Pending(Verification),
}

impl Verifier {
    /// Starts to compare a password with a hash, unless another request has done so.
    ///
    /// The verification continues if the request ends. Without a hash, it takes the same time.
    ///
    /// # Errors
    /// Returns the time after which the next attempt is allowed.
    fn start(
        self: &Arc<Self>,
        key: CacheKey,
        user: &str,
        password: String,
        hash: Option<String>,
        address: Option<IpAddr>,
    ) -> Result<Started, Duration> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match cache.get_mut(&key) {
            Some(Remembered::Verified { hash: known, until })
                if Some(&*known) == hash.as_ref() && *until > now =>
            {
                *until = now + REMEMBERED;
                return Ok(Started::Remembered);
            }
            Some(Remembered::Pending {
                hash: known,
                result,
            }) if *known == hash => {
                return Ok(Started::Pending(result.clone()));
            }
            _ => {}
        }
        let attempt = self.throttle.begin(address, user)?;
        let (this, compared) = (self.clone(), hash.clone());
        let verification = tokio::spawn(async move {
            let is_right = this.verify(password, compared.clone()).await;
            if is_right {
                this.throttle.succeeded(attempt);
            }
            this.finish(key, compared.filter(|_| is_right));
            is_right
        });
        let result = verification.map(|verified| verified.unwrap_or(false));
        let result = result.boxed().shared();
        let pending = Remembered::Pending {
            hash,
            result: result.clone(),
        };
        cache.insert(key, pending);
        Ok(Started::Pending(result))
    }

    async fn verify(&self, password: String, hash: Option<String>) -> bool {
        let Ok(_permit) = self.permits.acquire().await else {
            return false;
        };
        let verify = move || password::verify(&password, hash.as_deref());
        tokio::task::spawn_blocking(verify).await.unwrap_or(false)
    }

    /// Remembers a password that has this hash, or forgets a wrong one.
    fn finish(&self, key: CacheKey, hash: Option<String>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(hash) = hash else {
            cache.remove(&key);
            return;
        };
        let now = Instant::now();
        if cache.len() >= MAX_REMEMBERED {
            cache.retain(|_, entry| match entry {
                Remembered::Verified { until, .. } => *until > now,
                Remembered::Pending { .. } => true,
            });
        }
        if cache.len() < MAX_REMEMBERED {
            let until = now + REMEMBERED;
            cache.insert(key, Remembered::Verified { hash, until });
        } else {
            cache.remove(&key);
        }
    }
}

fn invalid(peer: &ClientOrigin, user: Option<&str>) -> Status {
    let reason = "the credentials are not valid";
    unauthenticated(RefusalReason::Invalid, peer, user, reason)
}

fn unauthenticated(
    reason: RefusalReason,
    peer: &ClientOrigin,
    user: Option<&str>,
    text: &'static str,
) -> Status {
    record_unauthenticated(reason, peer.address, user);
    store_status(&StoreError::Unauthenticated(text.to_owned()))
}
