//! Why a handshake failed, in words that name the remedy. The client shows next to nothing of it.

use super::tls::{Tls, has_passed};
use crate::tls::{AN_AUTHORITY_S, date, is_an_authority_s};
use rustls::{AlertDescription, CertificateError, Error};
use std::io;

impl Tls {
    /// What is wrong, where the error is of TLS.
    pub(super) fn reason(&self, error: &io::Error) -> Option<String> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        Some(match error {
            Error::InvalidCertificate(error) => self.distrust(error),
            Error::AlertReceived(alert) => self.refusal(*alert),
            Error::InvalidMessage(_) => NOT_ENCRYPTED.to_owned(),
            other => format!("the handshake failed: {other}"),
        })
    }

    /// Why the server's certificate is not taken.
    fn distrust(&self, error: &CertificateError) -> String {
        use CertificateError as Error;
        match error {
            Error::UnknownIssuer | Error::BadSignature => match &self.ca_file {
                Some(file) => format!(
                    "the server's certificate is of an authority that is not in store.etcd.tls.ca_file ({})",
                    file.display()
                ),
                None => {
                    "the server's certificate is of an authority that this system does not trust; \
                         name a file with its certificate in store.etcd.tls.ca_file"
                        .to_owned()
                }
            },
            Error::Expired => {
                "the server's certificate has expired; renew it, or set this host's clock"
                    .to_owned()
            }
            Error::ExpiredContext { not_after, .. } => format!(
                "the server's certificate has expired, on {}; renew it, or set this host's clock",
                date(not_after.as_secs())
            ),
            Error::NotValidYetContext { not_before, .. } => format!(
                "the server's certificate holds only from {} on; set this host's clock",
                date(not_before.as_secs())
            ),
            Error::NotValidForNameContext {
                expected,
                presented,
            } => format!(
                "the server's certificate is not for {}, but for {}; set store.etcd.tls.server_name, or the endpoint, to a name in it",
                expected.to_str(),
                names(presented)
            ),
            other if is_an_authority_s(other) => {
                format!("the server's certificate can't be trusted: {AN_AUTHORITY_S}")
            }
            other => format!("the server's certificate can't be trusted: {other}"),
        }
    }

    /// Why the server ends the connection without a word once the handshake is over, as far as this side knows.
    pub(super) fn cut_off(&self) -> String {
        let perhaps = match &self.identity {
            None => {
                "it wants a client certificate, perhaps; set store.etcd.tls.cert_file and key_file"
                    .to_owned()
            }
            Some((file, _)) => format!(
                "it refuses the client certificate in store.etcd.tls.cert_file ({}), perhaps",
                file.display()
            ),
        };
        format!("the server closed the connection after the handshake: {perhaps}")
    }

    /// Why the server refuses this client. It says so only in a word, and older ones mostly in the same.
    fn refusal(&self, alert: AlertDescription) -> String {
        use AlertDescription as Alert;
        let about_certificate = matches!(
            alert,
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
        );
        match &self.identity {
            None if about_certificate => "the server wants a client certificate; \
                set store.etcd.tls.cert_file and key_file"
                .to_owned(),
            Some((file, Some(end))) if about_certificate && has_passed(*end) => format!(
                "{REFUSED_CERTIFICATE} in store.etcd.tls.cert_file ({}): it expired on {}; renew it",
                file.display(),
                date(*end)
            ),
            Some((file, _)) if about_certificate => format!(
                "{REFUSED_CERTIFICATE} in store.etcd.tls.cert_file ({}): {alert:?}; \
                 it has to be of an authority that etcd trusts (its --trusted-ca-file), and for client authentication",
                file.display()
            ),
            _ => format!("the server ended the handshake: {alert:?}"),
        }
    }
}

/// The names in a certificate, without what the library puts around them.
fn names(presented: &[String]) -> String {
    let bare = presented
        .iter()
        .map(|name| name.split('"').nth(1).unwrap_or(name));
    let names: Vec<&str> = bare.collect();
    if names.is_empty() {
        return "no host by its subjectAltName".to_owned();
    }
    names.join(", ")
}

/// Said of a server that tells so.
pub(super) const REFUSED_CERTIFICATE: &str = "the server refuses the client certificate";

/// Said of a server that answers a handshake with something else.
const NOT_ENCRYPTED: &str =
    "the server does not speak TLS on this port; write http:// for this endpoint";

/// Said of a server that ends the connection in the middle of a handshake.
pub(super) const HANDSHAKE_CUT_OFF: &str = "the server cut the handshake off; \
    if it does not speak TLS on this port, write http:// for this endpoint";

/// Said of a server that answers plain HTTP with an alert.
pub(super) const ENCRYPTED: &str =
    "the server speaks TLS on this port; write https:// for this endpoint";

/// Said of a server that answers plain HTTP with nothing, as etcd does where it expects a handshake.
pub(super) const CUT_OFF: &str = "the server closed the connection without a word; \
    if it speaks TLS on this port, write https:// for this endpoint";
