//! A certificate authority, for tests of TLS.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};

/// A certificate authority.
pub struct Authority {
    /// The certificate of the authority.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            pem: params.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Issues a certificate for a server on this machine.
    pub fn server(&self) -> Issued {
        self.issue(&server_params())
    }

    /// Issues a certificate for a server with no other name than `name`.
    pub fn server_named(&self, name: &str) -> Issued {
        self.issue(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// Issues a certificate for a server on this machine that has expired.
    pub fn expired_server(&self) -> Issued {
        self.issue(&expired(server_params()))
    }

    /// Issues a certificate for a client with the common name `name`.
    pub fn client(&self, name: &str) -> Issued {
        self.issue(&client_params(name))
    }

    /// Issues a certificate for a client that has expired.
    pub fn expired_client(&self, name: &str) -> Issued {
        self.issue(&expired(client_params(name)))
    }

    fn issue(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        Issued {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

fn server_params() -> CertificateParams {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    CertificateParams::new(names).unwrap()
}

fn client_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}
