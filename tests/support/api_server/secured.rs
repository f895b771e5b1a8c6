//! The fake API server over TLS: what it shows, and who has shown itself.

use crate::support::certificates::Certificates;
use std::fs;
use std::sync::Arc;
use tenure::tls;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

/// It shows `server.pem`, and asks for a certificate of one of these authorities, without insisting.
pub fn acceptor(certificates: &Certificates, authorities: &str) -> TlsAcceptor {
    let pem = |name: &str| fs::read(certificates.file(name)).unwrap();
    let provider = Arc::new(default_provider());
    let roots = Arc::new(tls::authorities(authorities.as_bytes()).unwrap());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            tls::certificates(&pem("server.pem")).unwrap(),
            tls::private_key(&pem("server.key")).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
