//! [`AccessSettings`]: the settings of access control, and the addresses that may be served with them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// The settings of access control.
#[derive(Debug, Clone, Args)]
pub struct AccessSettings {
    /// File of users, roles and tokens; SIGHUP reloads it. Without it, only loopback addresses are served.
    #[arg(long, env = "USERS_FILE", value_name = "FILE")]
    pub users: Option<PathBuf>,

    /// Serves other addresses than loopback without users or without TLS, for development.
    #[arg(long, env = "INSECURE")]
    pub insecure: bool,
}

/// The reason why an address is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    /// Everybody in the network could read and write.
    #[error(
        "cannot serve {0} without users: everybody in the network could read and write; \
         give `--users FILE`, bind a loopback address, or accept it with `--insecure`"
    )]
    NoUsers(SocketAddr),
    /// Everybody in the network could read passwords and tokens.
    #[error(
        "cannot serve {0} without TLS: passwords and tokens would travel in plain text; \
         give a certificate, bind a loopback address, or accept it with `--insecure`"
    )]
    NoTls(SocketAddr),
}

impl AccessSettings {
    /// Checks that the addresses may be served, and returns sentences about missing protection.
    ///
    /// # Errors
    /// Returns the reason if an address is reachable by others, and a protection is missing.
    pub fn check(
        &self,
        addresses: &[SocketAddr],
        has_tls: bool,
    ) -> Result<Vec<&'static str>, AddressRefused> {
        let has_users = self.users.is_some();
        let is_local = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
        let reachable = addresses.iter().find(|address| !is_local(address));
        if let Some(address) = reachable.filter(|_| !self.insecure) {
            if !has_users {
                return Err(AddressRefused::NoUsers(*address));
            }
            if !has_tls {
                return Err(AddressRefused::NoTls(*address));
            }
        }
        let mut unprotected = Vec::new();
        if !has_users {
            unprotected.push("clients are not authenticated: everybody who reaches this address can read and write");
        }
        if !has_tls {
            unprotected.push("connections are not encrypted");
        }
        Ok(unprotected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_need_no_protection() {
        let check = |address: &str, users: bool, has_tls, insecure| {
            let settings = AccessSettings {
                users: users.then(|| "users.toml".into()),
                insecure,
            };
            let address = address.parse().expect("an address");
            let local = SocketAddr::from(([127, 0, 0, 1], 1));
            settings.check(&[local, address], has_tls)
        };
        for local in [
            "127.0.0.1:1",
            "127.8.0.1:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(check(local, false, false, false).is_ok(), "{local}");
            assert!(check(local, true, false, false).is_ok(), "{local}");
        }
        for reachable in ["0.0.0.0:1", "192.0.2.1:1", "[::]:1", "[2001:db8::1]:1"] {
            let refused = check(reachable, false, true, false).unwrap_err();
            assert!(matches!(refused, AddressRefused::NoUsers(_)), "{refused}");
            let refused = check(reachable, true, false, false).unwrap_err();
            assert!(matches!(refused, AddressRefused::NoTls(_)), "{refused}");
            assert_eq!(check(reachable, true, true, false), Ok(Vec::new()));
            assert_eq!(
                check(reachable, false, false, true).map(|list| list.len()),
                Ok(2)
            );
        }
    }
}
