//! TLS for the listeners and for those who ask them: from files in PEM to what the TLS library wants.

mod certificate;

pub use certificate::{date, not_after};

use std::io;
use std::sync::Arc;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};

/// What is spoken inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// How a listener says who it is, and until when, in seconds since 1970, where that is understood.
///
/// # Errors
/// A sentence on what is wrong, without what is in the key.
pub fn server(cert_pem: &[u8], key_pem: &[u8]) -> Result<(Arc<ServerConfig>, Option<u64>), String> {
    let chain = certificates(cert_pem).map_err(|error| format!("cert_file: {error}"))?;
    let expiry = chain.first().and_then(|first| not_after(first));
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| match error {
        PemError::NoItemsFound => "key_file: holds no private key in PEM".to_owned(),
        // What it found wrong may be a piece of the key.
        _ => "key_file: is damaged".to_owned(),
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("cert_file and key_file don't go together: {error}"))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok((Arc::new(config), expiry))
}

/// Whom one who asks trusts.
///
/// # Errors
/// A sentence on what is wrong.
pub fn client(ca_pem: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_pem)? {
        roots
            .add(certificate)
            .map_err(|error| format!("holds a certificate that is no authority's: {error}"))?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
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

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err("holds no certificate in PEM".to_owned()),
        Err(_) => Err("is damaged".to_owned()),
    }
}

/// The one that etcd's client uses as well.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
