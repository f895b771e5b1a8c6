//! Asks a candidate whether it leads, `GET /leader`, again and again over one kept connection.

use crate::support::http::Client;
use crate::support::{let_pass, ms};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

/// Between an answer and the next question, where the exact moment is wanted.
pub(crate) const CLOSELY: Duration = Duration::from_micros(100);

/// Longer than anybody is frozen here: the answer to a question put meanwhile is wanted.
const PATIENCE: Duration = ms(60_000);

/// An answer that said "I lead". That was so, for the asker, from some moment after `asked` on.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) asked: Time,
    pub(crate) answered: Time,
}

/// Asks once; none where it doesn't say that it leads, or answers nothing.
pub(crate) fn ask(client: &mut Client) -> Option<Claim> {
    let asked = clock::now();
    let response = client.get("/leader").ok()?;
    (response.status == 200).then(|| Claim {
        asked,
        answered: clock::now(),
    })
}

pub(crate) fn client(port: u16) -> Client {
    Client::new(port, PATIENCE)
}

/// Asks on a thread of its own, until it is dropped.
pub(crate) struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    claims: Mutex<Vec<Claim>>,
    pause_nanos: AtomicU64,
    is_over: AtomicBool,
}

impl Sampler {
    pub(crate) fn of(port: u16, pause: Duration) -> Sampler {
        let shared = Arc::new(Shared {
            claims: Mutex::new(Vec::new()),
            pause_nanos: AtomicU64::new(pause.as_nanos() as u64),
            is_over: AtomicBool::new(false),
        });
        let asking = Arc::clone(&shared);
        Sampler {
            shared,
            thread: Some(thread::spawn(move || asking.ask(port))),
        }
    }

    /// From the next answer on.
    pub(crate) fn set_pause(&self, pause: Duration) {
        let nanos = pause.as_nanos() as u64;
        self.shared.pause_nanos.store(nanos, Ordering::Relaxed);
    }

    /// So far.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.shared.claims.lock().unwrap().clone()
    }

    pub(crate) fn first_since(&self, time: Time) -> Option<Claim> {
        let claims = self.shared.claims.lock().unwrap();
        claims.iter().find(|claim| claim.answered >= time).copied()
    }

    pub(crate) fn last(&self) -> Option<Claim> {
        self.shared.claims.lock().unwrap().last().copied()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn ask(&self, port: u16) {
        let mut client = client(port);
        while !self.is_over.load(Ordering::Relaxed) {
            if let Some(claim) = ask(&mut client) {
                self.claims.lock().unwrap().push(claim);
            }
            let nanos = self.pause_nanos.load(Ordering::Relaxed);
            let_pass(Duration::from_nanos(nanos));
        }
    }
}
