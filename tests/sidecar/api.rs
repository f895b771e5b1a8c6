//! The api where it is no port of loopback: a socket in the file system, or a port for all with TLS and a token.

#[path = "api/access.rs"]
mod access;
#[path = "api/reread.rs"]
mod reread;
#[path = "api/socket.rs"]
mod socket;

use crate::support::certificates::Certificates;
use crate::support::ms;
use crate::support::process::Output;
use crate::support::sidecar::{Sidecar, Spec, run_tenure};
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

const TOKEN: &str = "first-4242424242424242";
const NEXT_TOKEN: &str = "second-171717171717171";

/// More connections than a listener takes.
const TOO_MANY: usize = 300;

struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            directory: TempDir::new().unwrap(),
        }
    }

    fn spec(&self, id: &str) -> Spec {
        Spec::on_files(id, &self.directory.path().join("store"))
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("api.sock")
    }

    fn url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    fn settings(&self) -> String {
        let url = self.url();
        format!("api: {url:?}, api_mode: \"0660\", probes: \"127.0.0.1:PROBES\"")
    }

    fn on_socket(&self, id: &str) -> Spec {
        self.spec(id).http(&self.settings())
    }

    fn token_file(&self, token: &str) -> PathBuf {
        let file = self.directory.path().join("token");
        fs::write(&file, format!("{token}\n")).unwrap();
        file
    }

    /// One that leads, and can be reached from everywhere.
    fn for_all(&self, certificates: &Certificates) -> (Sidecar, PathBuf) {
        let token_file = self.token_file(TOKEN);
        let settings = format!(
            "api: \"0.0.0.0:API\", probes: \"127.0.0.1:PROBES\", token_file: {token_file:?}, \
             tls: {{ cert_file: {:?}, key_file: {:?} }}",
            certificates.file("server.pem"),
            certificates.file("server.key"),
        );
        (self.spec("a").http(&settings).start_leading(), token_file)
    }

    fn access(&self, certificates: &Certificates, token_file: &Path) -> [&'static str; 4] {
        let leaked = |file: &Path| -> &'static str { file.display().to_string().leak() };
        let ca_file = leaked(&certificates.file("ca.pem"));
        ["--ca-file", ca_file, "--token-file", leaked(token_file)]
    }
}

/// What the peer has not read is a reason for the kernel to call it a reset.
fn is_cut_off(stream: &mut impl Read) -> bool {
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

#[track_caller]
fn verb(verb: &str, url: &str, more: &[&str]) -> Output {
    run_tenure(&[&[verb, "--url", url], more].concat())
}

/// The status of an answer, and all of it.
fn over_tls(
    port: u16,
    certificates: &Certificates,
    method: &str,
    path: &str,
    headers: &str,
) -> io::Result<(u16, String)> {
    let trusted = fs::read(certificates.file("ca.pem"))?;
    let roots = tenure::tls::authorities(&trusted).map_err(io::Error::other)?;
    let config = tenure::tls::client(roots, None).map_err(io::Error::other)?;
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ms(5_000)))?;
    let mut tls = StreamOwned::new(session, stream);
    let request = format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    tls.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, answer))
}
