//! From PEM files to what the client wants.

use crate::config::TlsConfig;
use etcd_client::{Certificate, Identity, TlsOptions};
use std::path::Path;
use std::time::Duration;

/// # Errors
/// A sentence that names the file.
pub(super) fn options(config: &TlsConfig, handshake: Duration) -> Result<TlsOptions, String> {
    let mut options = TlsOptions::new().timeout(handshake);
    options = match &config.ca_file {
        Some(file) => options.ca_certificate(Certificate::from_pem(pem(file, "CERTIFICATE")?)),
        None => options.with_native_roots(),
    };
    if let Some((cert_file, key_file)) = &config.identity {
        let cert = pem(cert_file, "CERTIFICATE")?;
        let key = pem(key_file, "PRIVATE KEY")?;
        options = options.identity(Identity::from_pem(cert, key));
    }
    if let Some(name) = &config.server_name {
        options = options.domain_name(name);
    }
    Ok(options)
}

/// The client takes garbage, and fails later for a reason that misleads: so look here.
fn pem(file: &Path, label: &str) -> Result<String, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let begins = text.lines().any(|line| {
        line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{label}-----"))
    });
    if !begins {
        return Err(format!("{}: holds no {label} in PEM", file.display()));
    }
    Ok(text)
}
