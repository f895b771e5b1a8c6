//! Whether the drivers' loops turn over.
//!
//! Each is asked by a round trip through its own queue. A flood of `/livez` must not become a flood of
//! these: one round is on its way at a time, and what it found serves everybody for a moment.

use crate::clock;
use crate::election::{Role, Time};
use crate::status::{Command, ElectionHandle};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

/// How long a loop may take to turn over.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// For how long what a round found is told again.
const FRESH: Duration = Duration::from_millis(250);

/// The last round.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    round: Mutex<Option<Round>>,
}

/// It outlives whoever began it, so that those who ask and leave cause no more rounds than others.
#[derive(Debug)]
struct Round {
    began: Time,
    pings: Vec<Ping>,
    found: Option<Result<(), String>>,
}

#[derive(Debug)]
enum Ping {
    Unsent,
    Sent(oneshot::Receiver<()>),
    Answered,
}

impl Liveness {
    /// Which elections' loops do not turn over, in words.
    pub(super) async fn check(&self, elections: &[ElectionHandle]) -> Result<(), String> {
        let mut last = self.round.lock().await;
        let now = clock::now();
        let reusable = last.take().filter(|round| {
            let age = now.since(round.began);
            age < FRESH || (round.found.is_none() && age < PATIENCE)
        });
        let round = last.insert(reusable.unwrap_or_else(|| Round {
            began: now,
            pings: elections.iter().map(|_| Ping::Unsent).collect(),
            found: None,
        }));
        if let Some(found) = &round.found {
            return found.clone();
        }
        let left = PATIENCE.saturating_sub(now.since(round.began));
        let pings = round.pings.iter_mut().zip(elections);
        // What has been answered by the end of the time is seen in the pings.
        let _ = timeout(left, join_all(pings.map(|(ping, to)| proceed(ping, to)))).await;
        let found = verdict(&round.pings, elections);
        round.found = Some(found.clone());
        found
    }
}

/// Sends the ping and waits for its answer, both as far as not done yet.
async fn proceed(ping: &mut Ping, to: &ElectionHandle) {
    if let Ping::Unsent = ping {
        let (reply, answer) = oneshot::channel();
        *ping = match to.commands.send(Command::Ping(reply)).await {
            Ok(()) => Ping::Sent(answer),
            Err(_) => return ended(ping, to),
        };
    }
    if let Ping::Sent(answer) = ping {
        match answer.await {
            Ok(()) => *ping = Ping::Answered,
            Err(_) => ended(ping, to),
        }
    }
}

/// A loop that ended in order has nothing more to turn over.
fn ended(ping: &mut Ping, to: &ElectionHandle) {
    if let Role::Stopped = to.status.snapshot().view.role {
        *ping = Ping::Answered;
    }
}

fn verdict(pings: &[Ping], elections: &[ElectionHandle]) -> Result<(), String> {
    let stuck: Vec<&str> = pings
        .iter()
        .zip(elections)
        .filter(|(ping, _)| !matches!(ping, Ping::Answered))
        .map(|(_, handle)| handle.status.name())
        .collect();
    if stuck.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the election loop does not turn over: {}",
        stuck.join(", ")
    ))
}
