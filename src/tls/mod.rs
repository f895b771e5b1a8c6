//! TLS, of the listeners and of those who ask: from PEM to what the TLS library wants.

mod certificate;

pub use certificate::{date, not_after};

use std::io;
use std::sync::Arc;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};

/// What a listener speaks inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// What is wrong with a listener's certificate, or with its key; without what is in the key.
#[derive(Debug)]
pub enum Unfit {
    /// With the certificate.
    Certificate(String),
    /// With the key, or with the two together.
    Key(String),
}

/// How a listener says who it is, and until when, in seconds since 1970, where that is understood.
///
/// # Errors
/// What is wrong.
pub fn server(cert_pem: &[u8], key_pem: &[u8]) -> Result<(Arc<ServerConfig>, Option<u64>), Unfit> {
    let chain = certificates(cert_pem).map_err(Unfit::Certificate)?;
    let expiry = chain.first().and_then(|first| not_after(first));
    let key = private_key(key_pem).map_err(Unfit::Key)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Unfit::Certificate(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                Unfit::Key(format!("does not go with the certificate: {error}"))
            }
            error => Unfit::Key(format!("can't be used: {error}")),
        })?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok((Arc::new(config), expiry))
}

/// How one who asks does so: whom it trusts, and who it says that it is, where it says so.
///
/// # Errors
/// Where the certificates and the key are of no use, or not of use together.
pub fn client(roots: RootCertStore, identity: Option<Identity>) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key),
    }
}

/// A chain of certificates, of which the first is one's own, and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Authorities in PEM. One that can't be read is an error: the server's might be of that one.
///
/// # Errors
/// A sentence on what is wrong.
pub fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(certificates(pem)?) {
        roots
            .add(certificate)
            .map_err(|error| format!("certificate {number} in it can't be read: {error}"))?;
    }
    Ok(roots)
}

/// Those that this system trusts. It blocks.
///
/// # Errors
/// Where there are none.
pub fn system_authorities() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // The system's hold some that are of no use, and nobody can do anything about that.
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let why = found.errors.first();
    let why = why.map_or(String::new(), |error| format!(" ({error})"));
    Err(format!(
        "this system has no certificates of authorities{why}"
    ))
}

/// Whether the other end says what isn't TLS.
pub fn is_foreign(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(Error::InvalidMessage(_)))
}

/// Why a server's certificate is not taken, where that is what went wrong.
pub fn distrust(error: &io::Error) -> Option<String> {
    let Error::InvalidCertificate(error) = error.get_ref()?.downcast_ref::<Error>()? else {
        return None;
    };
    Some(match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "it is of an authority that is not in the file with those to trust".to_owned()
        }
        error if is_an_authority_s(error) => AN_AUTHORITY_S.to_owned(),
        error => error.to_string(),
    })
}

/// What is wrong with a certificate that says of itself that it is an authority's, and its remedy.
pub const AN_AUTHORITY_S: &str = "it says that it is an authority's, not a server's; make one with basicConstraints=critical,CA:FALSE";

/// Whether that is what is wrong with it. The library has no name for it, only words.
pub fn is_an_authority_s(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity"))
}

/// A private key in PEM.
///
/// # Errors
/// What is wrong with it, without what is in it.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let holds = |words: &[u8]| pem.windows(words.len()).any(|window| window == words);
    // As PKCS #8 says it, and as OpenSSL used to.
    if holds(b"ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED") {
        return Err("is encrypted; decrypt it with openssl pkey -in KEY -out FILE, and protect FILE by its mode".to_owned());
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        PemError::NoItemsFound if holds(b"BEGIN CERTIFICATE-----") => {
            "holds no private key in PEM, but a certificate".to_owned()
        }
        PemError::NoItemsFound => "holds no private key in PEM".to_owned(),
        // What the library found wrong may be a piece of the key, or all of it.
        _ => DAMAGED.to_owned(),
    })
}

const DAMAGED: &str = "is damaged, not all of it is PEM, line by line";

/// Certificates in PEM, of which there is at least one.
///
/// # Errors
/// What is wrong with them, without what is in them.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) if pem.windows(16).any(|words| words == b"PRIVATE KEY-----") => {
            Err("holds no certificate in PEM, but a private key".to_owned())
        }
        Ok(_) => Err("holds no certificate in PEM".to_owned()),
        Err(_) => Err(DAMAGED.to_owned()),
    }
}

/// The one that etcd's client uses as well.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
