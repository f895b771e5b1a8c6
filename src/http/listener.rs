//! Where requests come in: a port or a socket in the file system, with TLS or without.

use super::admission::Gate;
use super::credentials::Credentials;
use super::io::Impatient;
use super::socket::{self, SocketFile};
use crate::config::UnixSocket;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// So many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Where requests come in.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    credentials: Arc<Credentials>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    /// The file goes first: what is there is in use until it is gone.
    Unix(SocketFile, UnixListener),
}

/// A connection that has been accepted, and nothing more.
pub(super) enum Accepted {
    Tcp(TcpStream, Option<TlsAcceptor>),
    Unix(UnixStream),
}

/// What HTTP is spoken over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Listener {
    /// Listens on `address`, which `key` of the config says. Call it in the runtime that will serve.
    ///
    /// # Errors
    /// Where nobody can listen there; the error names the key and a remedy.
    pub fn tcp(
        key: &str,
        address: SocketAddr,
        credentials: Arc<Credentials>,
    ) -> io::Result<Listener> {
        let socket = TcpListener::from_std(bind(key, address)?)?;
        Ok(Listener {
            socket: Socket::Tcp(socket),
            credentials,
        })
    }

    /// The same on a socket in the file system.
    ///
    /// # Errors
    /// As for [`Listener::tcp`].
    pub fn unix(
        key: &str,
        config: &UnixSocket,
        credentials: Arc<Credentials>,
    ) -> io::Result<Listener> {
        let (file, listener) = socket::listen_on(config, BACKLOG).map_err(|error| {
            let path = config.path.display();
            let message = format!("{key}: unix:{path}: {error}, or choose another path with {key}");
            io::Error::new(error.kind(), message)
        })?;
        let listener = UnixListener::from_std(listener)?;
        Ok(Listener {
            socket: Socket::Unix(file, listener),
            credentials,
        })
    }

    /// How one on this host finds it.
    pub fn url(&self) -> String {
        let scheme = if self.credentials.speak_tls() {
            "https"
        } else {
            "http"
        };
        match &self.socket {
            Socket::Unix(..) => self.to_string(),
            Socket::Tcp(listener) => listener.local_addr().map_or_else(
                |_| String::new(),
                |mut address| {
                    if address.ip().is_unspecified() {
                        address.set_ip(match address {
                            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                        });
                    }
                    format!("{scheme}://{address}")
                },
            ),
        }
    }

    /// What it shows to those who ask, and asks of them.
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials)
    }

    /// Who is let in on the api.
    pub(super) fn gate(&self) -> Gate {
        let (own, may_be_a_browser) = match &self.socket {
            Socket::Tcp(listener) => (listener.local_addr().ok().map(|at| at.ip()), true),
            Socket::Unix(..) => (None, false),
        };
        Gate::new(own, may_be_a_browser, Arc::clone(&self.credentials))
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, self.credentials.acceptor()))
            }
            Socket::Unix(_, listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Unix(stream))
            }
        }
    }
}

impl fmt::Display for Listener {
    /// The port is another than configured where that is 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Socket::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(error) => error.fmt(f),
            },
            Socket::Unix(file, _) => write!(f, "unix:{}", file.path().display()),
        }
    }
}

impl From<TcpListener> for Listener {
    /// Without TLS or a token.
    fn from(listener: TcpListener) -> Self {
        Listener {
            socket: Socket::Tcp(listener),
            credentials: Arc::default(),
        }
    }
}

impl Accepted {
    /// What HTTP can be spoken over, once a handshake that takes no longer than `handshake` is over.
    pub(super) async fn open(
        self,
        stall: Duration,
        handshake: Duration,
    ) -> io::Result<Box<dyn Stream>> {
        match self {
            Accepted::Unix(stream) => Ok(Box::new(Impatient::new(stream, stall))),
            Accepted::Tcp(stream, tls) => {
                // Answers are small and complete: there is nothing to wait for. Only slower where it fails.
                let _ = stream.set_nodelay(true);
                let stream = Impatient::new(stream, stall);
                let Some(tls) = tls else {
                    return Ok(Box::new(stream));
                };
                let stream = timeout(handshake, tls.accept(stream)).await??;
                Ok(Box::new(stream))
            }
        }
    }
}

/// Listens on `address`, which `key` of the config says; ready to be handed to tokio.
///
/// # Errors
/// Where nobody can listen there; the error names the key and a remedy.
pub fn bind(key: &str, address: SocketAddr) -> io::Result<StdTcpListener> {
    // On Unix, `std` sets SO_REUSEADDR: a restart does not wait for old connections to be forgotten.
    let bound = StdTcpListener::bind(address).and_then(|listener| {
        // `std` lets 128 wait to be accepted; a probe must not queue behind a burst of others, and be sent again.
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|err| {
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
        let why = match err.kind() {
            AddrInUse => format!(
                "address already in use; stop what listens there, or choose another with {key}"
            ),
            AddrNotAvailable => format!("this host has no such address; choose another with {key}"),
            PermissionDenied => {
                format!("not permitted; choose a port from 1024 on with {key}")
            }
            _ => err.to_string(),
        };
        io::Error::new(err.kind(), format!("{key}: {address}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_refused_with_the_key_and_a_remedy() {
        let first = bind("http.api", "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind("http.api", address).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "http.api: {address}: address already in use; stop what listens there, or choose another with http.api"
            )
        );
    }
}
