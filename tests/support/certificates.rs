//! Certificates for one test, from an authority of its own.

use super::process::run;
use std::fs;
use std::path::PathBuf;
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
        let extensions = format!(
            "basicConstraints=CA:FALSE\nsubjectAltName=DNS:{SERVER_NAME},DNS:localhost\n\
             extendedKeyUsage=serverAuth,clientAuth\n"
        );
        fs::write(certificates.file("extensions"), extensions).unwrap();
        for name in ["server", "client"] {
            certificates.openssl(&format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                 -subj /CN={name} -keyout {name}.key -out {name}.csr"
            ));
            certificates.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                 -extfile extensions -out {name}.pem"
            ));
        }
        certificates
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[track_caller]
    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.directory);
        let output = run(&mut command, REMEDY);
        assert_eq!(output.code, Some(0), "openssl {arguments}: {output:?}");
    }
}
