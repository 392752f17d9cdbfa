//! [`Throttle`]: the limit of failed attempts to authenticate.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A number of attempts, one of which is regained after each interval.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    attempts: u32,
    interval: Duration,
}

/// The attempts of one address for one user.
const FOR_USER: Allowance = Allowance {
    attempts: 5,
    interval: Duration::from_secs(10),
};

/// The attempts of one address for all users.
const FOR_ADDRESS: Allowance = Allowance {
    attempts: 50,
    interval: Duration::from_secs(1),
};

/// The maximum number of addresses and users that are remembered.
const MAX_ENTRIES: usize = 16_384;

/// Limits the attempts of an address, and those of an address for a user.
///
/// Attempts from other addresses do not count, so nobody can lock out a user from elsewhere. An attempt that succeeds
/// does not count.
#[derive(Debug, Default)]
pub struct Throttle {
    /// The time at which all attempts are regained.
    full_at: Mutex<HashMap<AttemptKey, Instant>>,
}

/// The origin of attempts; without a user, the address as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AttemptKey {
    address: Option<IpAddr>,
    user: Option<String>,
}

/// An attempt that counts until it succeeds.
#[derive(Debug)]
pub struct LoginAttempt([(AttemptKey, Allowance); 2]);

impl Throttle {
    /// Counts an attempt.
    ///
    /// # Errors
    /// Returns the time after which the next attempt is allowed.
    pub fn begin(&self, address: Option<IpAddr>, user: &str) -> Result<LoginAttempt, Duration> {
        let address = address.map(network);
        let user = Some(user.to_owned());
        let parts = [
            (AttemptKey { address, user }, FOR_USER),
            (
                AttemptKey {
                    address,
                    user: None,
                },
                FOR_ADDRESS,
            ),
        ];
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, allowance) in &parts {
            // Each attempt moves the time by an interval, so this one is allowed if it is not beyond the last one.
            let full = full_at.get(key).copied().unwrap_or(now);
            let wait = (full + allowance.interval).saturating_duration_since(now);
            let wait = wait.saturating_sub(allowance.interval * allowance.attempts);
            if !wait.is_zero() {
                return Err(wait);
            }
        }
        if full_at.len() >= MAX_ENTRIES {
            full_at.retain(|_, full| *full > now);
        }
        if full_at.len() >= MAX_ENTRIES {
            // An attacker has that many addresses. Old failures are forgotten.
            full_at.clear();
        }
        for (key, allowance) in &parts {
            let full = full_at.entry(key.clone()).or_insert(now);
            *full = (*full).max(now) + allowance.interval;
        }
        Ok(LoginAttempt(parts))
    }

    /// Regains an attempt that succeeded.
    pub fn succeeded(&self, attempt: LoginAttempt) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, allowance) in attempt.0 {
            if let Some(full) = full_at.get_mut(&key) {
                *full = full.checked_sub(allowance.interval).unwrap_or(*full);
            }
        }
    }
}

/// Returns the part of an address that one client cannot change: it has a /64 network of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[tokio::test(start_paused = true)]
    async fn failed_attempts_of_an_address_are_limited_for_a_time() {
        let throttle = Throttle::default();
        for _ in 0..FOR_USER.attempts {
            throttle.begin(HERE, "ada").expect("an attempt");
        }
        let wait = throttle.begin(HERE, "ada").unwrap_err();
        assert_eq!(wait, FOR_USER.interval);
        // Another user and another address are not concerned.
        throttle.begin(HERE, "bob").expect("another user");
        let elsewhere = "192.0.2.1".parse().ok();
        throttle.begin(elsewhere, "ada").expect("another address");
        tokio::time::advance(wait).await;
        throttle
            .begin(HERE, "ada")
            .expect("one attempt is regained");
        assert!(throttle.begin(HERE, "ada").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_succeed_do_not_count() {
        let throttle = Throttle::default();
        for _ in 0..1_000 {
            let attempt = throttle.begin(HERE, "ada").expect("an attempt");
            throttle.succeeded(attempt);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_for_many_users_are_limited_too() {
        let throttle = Throttle::default();
        let users = (0..1_000).map(|number| format!("user {number}"));
        let allowed = users.filter(|user| throttle.begin(HERE, user).is_ok());
        assert_eq!(allowed.count(), FOR_ADDRESS.attempts as usize);
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let address = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
