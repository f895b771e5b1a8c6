//! From files to what the client wants.

use crate::config::{EtcdConfig, TlsConfig};
use etcd_client::{Certificate, Identity, TlsOptions};
use std::path::Path;
use std::time::Duration;

/// What it takes to be let in.
pub(super) struct Credentials {
    /// A user's name and password.
    pub(super) login: Option<(String, String)>,
    pub(super) tls: Option<TlsOptions>,
}

impl Credentials {
    /// Reads all files that the config names. It blocks.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn read(
        config: &EtcdConfig,
        encrypted: bool,
        handshake: Duration,
    ) -> Result<Self, String> {
        let login = config.user.as_ref().map(|(user, file)| {
            let password = read(file)?;
            Ok::<_, String>((
                user.clone(),
                password.trim_end_matches(['\r', '\n']).to_owned(),
            ))
        });
        let tls = encrypted.then(|| {
            let config = config.tls.clone().unwrap_or_default();
            options(&config, handshake)
        });
        Ok(Credentials {
            login: login.transpose()?,
            tls: tls.transpose()?,
        })
    }
}

fn options(config: &TlsConfig, handshake: Duration) -> Result<TlsOptions, String> {
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

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}
