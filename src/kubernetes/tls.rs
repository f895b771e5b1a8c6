//! What a connection that is encrypted needs: from PEM to what the TLS library wants.

use super::access::{Source, Trust};
use crate::tls;
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, ResolveServerName};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, Error};
use std::sync::Arc;

/// Whom to trust, and who this is.
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// The certificates shown, if any.
    pub(super) shown: Vec<CertificateDer<'static>>,
    /// Expected in the server's certificate, if not the URL's host.
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// It blocks.
    ///
    /// # Errors
    /// A sentence that says where something stands that can't be used.
    pub(super) fn read(trust: &Trust) -> Result<Self, String> {
        let roots = match &trust.authorities {
            Some(authorities) => parse(authorities, tls::authorities)?,
            None => tls::system_authorities().map_err(|why| {
                format!("the kubeconfig has no certificate-authority, and {why}; name one")
            })?,
        };
        let mut shown = Vec::new();
        let config = match &trust.identity {
            None => tls::client(roots, None).map_err(|error| error.to_string()),
            Some((certificate, key)) => {
                shown = parse(certificate, tls::certificates)?;
                let identity = (shown.clone(), parse(key, tls::private_key)?);
                tls::client(roots, Some(identity)).map_err(|error| match error {
                    Error::InconsistentKeys(_) => {
                        format!("{key}: is not the key of the certificate in {certificate}")
                    }
                    error => format!("{certificate} with {key}: can't be used: {error}"),
                })
            }
        };
        Ok(Tls {
            config: Arc::new(config?),
            shown,
            server_name: trust.server_name.clone(),
        })
    }

    /// What is expected in a server's certificate.
    pub(super) fn names(&self) -> Arc<dyn ResolveServerName + Send + Sync> {
        match &self.server_name {
            Some(name) => Arc::new(FixedServerNameResolver::new(name.clone())),
            None => Arc::new(DefaultServerNameResolver::default()),
        }
    }
}

fn parse<T>(source: &Source, parse: fn(&[u8]) -> Result<T, String>) -> Result<T, String> {
    let pem = source.read()?;
    parse(&pem).map_err(|why| format!("{source}: {why}"))
}
