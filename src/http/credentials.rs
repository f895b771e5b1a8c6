//! What a listener shows to those who ask, and asks of them.

use super::fresh::Fresh;
use crate::config::ServerTls;
use crate::secret::Token;
use crate::status;
use crate::tls::{self, Unfit};
use crate::watched_files::{LOOK_EVERY, Why};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::time::interval;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Read from files, and kept as fresh as they are by [`keep_fresh`].
#[derive(Default)]
pub struct Credentials {
    tls: Option<Fresh<Arc<ServerConfig>>>,
    token: Option<Fresh<Token>>,
}

impl Credentials {
    /// Those of the api. It blocks.
    ///
    /// # Errors
    /// A sentence that names the key and the file, and shows nothing of what is in it.
    pub fn of_api(tls: Option<&ServerTls>, token_file: Option<&Path>) -> Result<Self, String> {
        let token = token_file.map(|file| {
            Fresh::read("http.token_file", vec![file.to_owned()], |contents| {
                let token = Token::parse(&contents.concat());
                token.map(|token| (token, None)).map_err(|why| (0, why))
            })
        });
        Ok(Credentials {
            tls: tls.map(|tls| identity("http.tls", tls)).transpose()?,
            token: token.transpose()?,
        })
    }

    /// Those of the probes. It blocks.
    ///
    /// # Errors
    /// As for [`Credentials::of_api`].
    pub fn of_probes(tls: Option<&ServerTls>) -> Result<Self, String> {
        Ok(Credentials {
            tls: tls
                .map(|tls| identity("http.probes_tls", tls))
                .transpose()?,
            token: None,
        })
    }

    /// Whether there is any file that may change.
    pub fn are_from_files(&self) -> bool {
        self.tls.is_some() || self.token.is_some()
    }

    /// Whether TLS is spoken.
    pub fn speak_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        let tls = self.tls.as_ref()?;
        Some(TlsAcceptor::from(Arc::clone(&*tls.current())))
    }

    pub(super) fn token(&self) -> Option<Arc<Token>> {
        self.token.as_ref().map(Fresh::current)
    }

    /// What becomes of them.
    pub fn statuses(&self) -> Vec<Arc<status::Credentials>> {
        let tls = self.tls.iter().map(Fresh::status);
        tls.chain(self.token.iter().map(Fresh::status)).collect()
    }

    fn reread(&self, why: Why) {
        if let Some(tls) = &self.tls {
            tls.reread(why);
        }
        if let Some(token) = &self.token {
            token.reread(why);
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Rereads them when they have changed, and whenever `asked`, until `stop` turns true. A disk that hangs holds up nothing
/// but this.
pub async fn keep_fresh(
    all: Vec<Arc<Credentials>>,
    asked: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
) {
    let all: Vec<_> = all.into_iter().filter(|one| one.are_from_files()).collect();
    if all.is_empty() {
        return;
    }
    let all: Arc<[Arc<Credentials>]> = all.into();
    let mut looks = interval(LOOK_EVERY);
    loop {
        let why = tokio::select! {
            biased;
            () = super::server::stopped(&mut stop) => return,
            () = asked.notified() => Why::Order,
            _ = looks.tick() => Why::Routine,
        };
        let all = Arc::clone(&all);
        let reread = move || all.iter().for_each(|one| one.reread(why));
        let reread = tokio::task::spawn_blocking(reread);
        tokio::select! {
            biased;
            () = super::server::stopped(&mut stop) => return,
            // Whether it panicked or not, the next one tries again.
            _ = reread => {}
        }
    }
}

fn identity(key: &'static str, tls: &ServerTls) -> Result<Fresh<Arc<ServerConfig>>, String> {
    let files = vec![tls.cert_file.clone(), tls.key_file.clone()];
    Fresh::read(key, files, |contents| {
        let [cert, key] = contents else {
            return Err((0, "are not two files".to_owned()));
        };
        tls::server(cert, key).map_err(|unfit| match unfit {
            Unfit::Certificate(why) => (0, why),
            Unfit::Key(why) => (1, why),
        })
    })
}
