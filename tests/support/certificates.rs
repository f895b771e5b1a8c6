//! Certificates for one test, from an authority of its own.

use super::process::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const REMEDY: &str = "install it: apt-get install openssl";

/// The name in the server's certificate.
pub const SERVER_NAME: &str = "etcd.local";

/// `ca.pem`, `server.pem`, `client.pem` and their keys.
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    pub fn made() -> Certificates {
        let certificates = Certificates {
            directory: TempDir::new().unwrap(),
        };
        certificates.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -subj /CN=authority -keyout ca.key -out ca.pem",
        );
        for name in ["server", "client"] {
            certificates.issue(name, 2);
        }
        certificates
    }

    /// A certificate and a key of this name, instead of those that it has, for so many days: negative, it has expired.
    #[track_caller]
    pub fn issue(&self, name: &str, days: i32) {
        self.issue_for(&format!("DNS:{SERVER_NAME},DNS:localhost"), name, days);
    }

    /// The same, for a server at this place: `DNS:…` or `IP:…`.
    #[track_caller]
    pub fn issue_for(&self, place: &str, name: &str, days: i32) {
        let extensions = format!(
            "basicConstraints=CA:FALSE\nsubjectAltName={place}\n\
             extendedKeyUsage=serverAuth,clientAuth\n"
        );
        fs::write(self.file("extensions"), extensions).unwrap();
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} \
             -extfile extensions -out {name}.pem"
        ));
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[track_caller]
    pub fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.directory);
        let output = run(&mut command, REMEDY);
        assert_eq!(output.code, Some(0), "openssl {arguments}: {output:?}");
    }
}
