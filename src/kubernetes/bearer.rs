//! Who this is to the API: a bearer token, from the kubeconfig, or from a file in which the kubelet exchanges it.

use crate::secret;
use crate::watched_files::{LOOK_EVERY, WatchedFiles, Why};
use arc_swap::ArcSwap;
use hyper::header::HeaderValue;
use kube::config::AuthInfo;
use secrecy::ExposeSecret;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;

/// The header that shows it, as fresh as its file.
pub(super) struct Bearer {
    current: Arc<ArcSwap<HeaderValue>>,
    /// With it, whoever looks after the file ends.
    _needed: Option<SyncSender<()>>,
}

impl Bearer {
    /// None where another way to say who one is was chosen. A file is looked after from now on.
    ///
    /// # Errors
    /// A sentence that names the file, without what is in it.
    pub(super) fn of(auth: &AuthInfo) -> Result<Option<Self>, String> {
        if let Some(file) = &auth.token_file {
            return Bearer::in_file(Path::new(file)).map(Some);
        }
        let Some(token) = &auth.token else {
            return Ok(None);
        };
        let header = header(token.expose_secret().as_bytes());
        let header = header.map_err(|why| format!("the kubeconfig's token {why}"))?;
        Ok(Some(Bearer {
            current: Arc::new(ArcSwap::from_pointee(header)),
            _needed: None,
        }))
    }

    fn in_file(file: &Path) -> Result<Self, String> {
        let watched = WatchedFiles::new(vec![file.to_owned()]);
        let current = Arc::new(ArcSwap::from_pointee(read(file)?));
        let (needed, end) = sync_channel(0);
        let (file, exchanged) = (file.to_owned(), Arc::clone(&current));
        // Nobody waits for its end: it may hang with the disk, and holds nothing.
        thread::Builder::new()
            .name("token".to_owned())
            .spawn(move || look_after(&file, watched, &exchanged, &end))
            .map_err(|error| format!("starting a thread: {error}"))?;
        Ok(Bearer {
            current,
            _needed: Some(needed),
        })
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::clone(&self.current.load())
    }
}

fn look_after(
    file: &Path,
    mut watched: WatchedFiles,
    current: &ArcSwap<HeaderValue>,
    end: &Receiver<()>,
) {
    while end.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let Some(look) = watched.look(Why::Routine) else {
            continue;
        };
        match read(file) {
            Ok(header) => {
                watched.was_read(look);
                current.store(Arc::new(header));
                tracing::debug!("the cluster's token reread");
            }
            Err(error) if watched.is_news(&look, &error) => {
                tracing::error!(
                    error,
                    "the cluster's token not reread; the former is in use still"
                );
            }
            Err(_) => {}
        }
    }
}

fn read(file: &Path) -> Result<HeaderValue, String> {
    let content = secret::read(file)?;
    header(content.trim_ascii()).map_err(|why| format!("{}: the token in it {why}", file.display()))
}

fn header(token: &[u8]) -> Result<HeaderValue, &'static str> {
    if token.is_empty() {
        return Err("is empty");
    }
    let value = [b"Bearer ", token].concat();
    let value = HeaderValue::from_bytes(&value).map(|mut value| {
        value.set_sensitive(true);
        value
    });
    value.map_err(|_| "has more in it than printable ASCII")
}
