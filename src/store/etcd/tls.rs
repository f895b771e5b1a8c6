//! From files in PEM to what a handshake needs. Everything that can be found wrong with a file is found here,
//! and told with the config's key and the file.

use super::credentials::text;
use crate::clock;
use crate::config::TlsConfig;
use crate::tls::{self, date, not_after};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

const CA_FILE: &str = "store.etcd.tls.ca_file";
const CERT_FILE: &str = "store.etcd.tls.cert_file";
const KEY_FILE: &str = "store.etcd.tls.key_file";
const SERVER_NAME: &str = "store.etcd.tls.server_name";

/// Whom to trust, and who this is.
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// The name expected in the server's certificate, if not the endpoint's host.
    server_name: Option<String>,
    /// The file with the authorities, if not the system's are trusted.
    pub(super) ca_file: Option<PathBuf>,
    /// The file with the client certificate, and until when that holds.
    pub(super) identity: Option<(PathBuf, Option<u64>)>,
}

impl Tls {
    /// Reads the files, or the system's authorities where none are named. It blocks.
    ///
    /// # Errors
    /// A sentence that names the config's key and the file.
    pub(super) fn read(config: &TlsConfig) -> Result<Self, String> {
        let roots = match &config.ca_file {
            Some(file) => authorities(file)?,
            None => system_authorities()?,
        };
        if let Some(name) = &config.server_name {
            let wrong =
                |_| format!("{SERVER_NAME}: {name:?} is neither a host's name nor an address");
            ServerName::try_from(name.as_str()).map_err(wrong)?;
        }
        let mut identity = None;
        let made = match &config.identity {
            None => tls::client(roots, None).map_err(|error| error.to_string()),
            Some((cert_file, key_file)) => {
                let chain = certificates(CERT_FILE, cert_file)?;
                let not_after = chain.first().and_then(|first| not_after(first));
                refuse_expired(cert_file, not_after)?;
                identity = Some((cert_file.clone(), not_after));
                let key = private_key(key_file)?;
                tls::client(roots, Some((chain, key)))
                    .map_err(|error| unfit(cert_file, key_file, &error))
            }
        };
        let mut client = made?;
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Tls {
            config: Arc::new(client),
            server_name: config.server_name.clone(),
            ca_file: config.ca_file.clone(),
            identity,
        })
    }

    /// The name that the server's certificate must hold.
    pub(super) fn expected_name(
        &self,
        host: &str,
    ) -> Result<ServerName<'static>, InvalidDnsNameError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = self.server_name.as_deref().unwrap_or(bare);
        ServerName::try_from(name.to_owned())
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let pem = text(CA_FILE, file)?;
    tls::authorities(pem.as_bytes()).map_err(|why| format!("{CA_FILE}: {}: {why}", file.display()))
}

fn system_authorities() -> Result<RootCertStore, String> {
    tls::system_authorities().map_err(|why| {
        format!("{CA_FILE}: is not set, and {why}; set it, or install ca-certificates")
    })
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = text(key, file)?;
    tls::certificates(pem.as_bytes()).map_err(|why| format!("{key}: {}: {why}", file.display()))
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = text(KEY_FILE, file)?;
    tls::private_key(pem.as_bytes()).map_err(|why| format!("{KEY_FILE}: {}: {why}", file.display()))
}

fn refuse_expired(cert_file: &Path, not_after: Option<u64>) -> Result<(), String> {
    match not_after {
        Some(end) if has_passed(end) => Err(format!(
            "{CERT_FILE}: {}: expired on {}; renew it",
            cert_file.display(),
            date(end)
        )),
        _ => Ok(()),
    }
}

/// By the date of this host, as the handshake has it too.
pub(super) fn has_passed(seconds: u64) -> bool {
    let now = clock::date().duration_since(SystemTime::UNIX_EPOCH);
    now.is_ok_and(|now| now.as_secs() > seconds)
}

fn unfit(cert_file: &Path, key_file: &Path, error: &rustls::Error) -> String {
    let (cert_file, key_file) = (cert_file.display(), key_file.display());
    match error {
        rustls::Error::InconsistentKeys(_) => format!(
            "{KEY_FILE}: {key_file}: is not the key of the certificate in {cert_file}; give the two that belong together"
        ),
        rustls::Error::InvalidCertificate(_) => {
            format!("{CERT_FILE}: {cert_file}: holds a certificate that can't be read: {error}")
        }
        _ => format!("{KEY_FILE}: {key_file}: holds a key that can't be used: {error}"),
    }
}
