//! The kubernetes store: a `coordination.k8s.io/v1` Lease for each election, beside client-go's candidates if there are any.
//!
//! # What it assumes
//! A read that names no resourceVersion is linearizable, an update that names one is applied to that version of the object
//! or refused, and versions are numbers that rise with every write to the cluster. And that clocks run at nearly the same
//! rate: no clock is compared with another, and the times in the object are for people, and for others to see that they
//! have changed.
//!
//! # How it works
//! There is no queue. A candidate that waits has a place that is not written anywhere, and reads the Lease every
//! retry_period to see that the API is there. Its place is the first as soon as the Lease is *free*: given up, or not
//! renewed for as long as its holder counts on it, since this candidate saw it change last, by its own clock. All who wait
//! see that at about the same time. Each then tries an update that is conditional on the version that it has seen, and
//! one succeeds. With that its place is written, and is renewed by further updates.
//!
//! The **fencing token** is the version that the acquiring update was conditional on. Only one update can be applied to a
//! version, and versions rise with every write, also when the Lease is deleted and made anew: it is always made without a
//! holder, and only an update acquires. Where versions were set back, as by an old backup, the token is one more than the
//! last one noted in the object. (`leaseTransitions` is kept as well, but whoever deletes the object resets it.)
//!
//! The **holder's identity** is the candidate's id and the lease's random name, so it is never used twice: where the Lease
//! names it, this candidate wrote it there. Somebody who copies it by hand is the only exception.
//!
//! # Why there are never two leaders
//! A holder leads for less than its ttl after it *sent* the last update that was applied. An acquisition is applied only to
//! the version that its author saw last; so the holder's last update was applied before that was read, and sent before
//! that. The author counts the holder's whole ttl from when that answer *arrived*. A candidate that was frozen or cut off
//! meanwhile may take a Lease for free that isn't; then its update is conditional on an old version, and is refused.
//! Another edit of the object, a label for instance, makes a new version and renews nothing: the holder's fields tell.
//!
//! # When an answer is lost, or an update arrives late
//! - **Acquiring.** The update may have been applied or be on its way. It counts from when it was sent: until it is known
//!   what came of it, no keepalive makes the place look younger than that. Where it was applied, the Lease names this
//!   candidate, and the next verification finds it. Where another version is seen that doesn't, it can't be applied
//!   any more. A candidate that gives up before either is known writes the Lease once more, given up, for then it can't be
//!   either.
//! - **Renewing.** The next update is refused if the former was applied; then the Lease still names this candidate, and the
//!   update is made anew from what it reads. If the former is on its way and comes later, it is refused: its version is gone.
//!   The place counts from the last update that was *answered*, and is never renewed once that is a ttl ago, whether
//!   somebody has taken it or not: others may be about to.
//! - **Giving up.** It is repeated until an answer shows that the Lease doesn't name this candidate. A renewal that is late
//!   is refused.
//! - **Creating.** It grants nothing. Whether it was this candidate that did it makes no difference.
//!
//! # When people lay hands on it
//! A Lease that is deleted, restored from a backup, or edited to name another or nobody, is lost at once, as a key in etcd is. But
//! its holder may be cut off from that news, and what it promised its application holds on. So whoever was seen to hold it and
//! isn't named any more is waited for, for a whole ttl from then, for it may have been renewed until then unseen; also by the
//! candidate that lost it. Not waited for is who gave it up, or has been succeeded by a candidate like this, who waited: the
//! token, the transitions and the annotations tell. A Lease that names nobody and wasn't given up tells so by itself, even
//! whoever never saw its holder. Of one that was deleted or restored nothing tells them.
//!
//! # Watching
//! Each election has a watch of its own object. A watch of the whole namespace would be one connection instead of many, but
//! wake every sidecar for every other's renewals, and could not be confined to names by a role. It only hastens: what
//! counts is read.

mod calls;
mod errand;
mod error;
mod ledger;
mod lookout;
mod record;
mod session;
mod watch;

pub use session::KubernetesSession;

use crate::clock::Alarms;
use crate::election::{Candidate, Timing};
use crate::kubernetes::Cluster;
use calls::Calls;
use error::Troubles;
use kube::Api;
use ledger::Ledger;
use record::Author;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watch::Watch;

/// The Leases of a namespace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KubernetesStore {
    cluster: Arc<Cluster>,
    namespace: String,
    troubles: Arc<Troubles>,
}

impl KubernetesStore {
    /// In that namespace, or else in the one that the cluster says. `connected` tells whether the API answers.
    pub fn new(cluster: Arc<Cluster>, namespace: Option<&str>, connected: Arc<AtomicBool>) -> Self {
        KubernetesStore {
            namespace: namespace.unwrap_or(cluster.namespace()).to_owned(),
            cluster,
            troubles: Arc::new(Troubles::new(connected)),
        }
    }

    /// Begins to observe elections on behalf of a candidate. They share a client. Call it inside the runtime that is to do
    /// the work.
    ///
    /// # Errors
    /// Where what the cluster's credentials are read from has changed, and can't be used any more.
    pub fn sessions<'a>(
        &self,
        elections: impl IntoIterator<Item = &'a str>,
        candidate: &Candidate,
        timing: &Timing,
        alarms: &Alarms,
    ) -> Result<Vec<KubernetesSession>, String> {
        let bound = timing.retry_period();
        let leases = Api::namespaced(self.cluster.client(bound)?, &self.namespace);
        let author = Author {
            candidate: candidate.clone(),
            ttl: whole_seconds(timing.ttl()),
        };
        let sessions = elections.into_iter().map(|election| {
            let watch = Watch::new(leases.clone(), election, bound, alarms);
            let calls = Calls {
                leases: leases.clone(),
                election: election.to_owned(),
                bound,
                alarms: alarms.clone(),
                troubles: Arc::clone(&self.troubles),
                ledger: Mutex::new(Ledger::new(author.clone())),
            };
            KubernetesSession::new(calls, watch)
        });
        Ok(sessions.collect())
    }
}

/// A Lease counts whole seconds: rounded up, so that others wait for no less than was asked for.
fn whole_seconds(ttl: Duration) -> Duration {
    Duration::from_secs(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0))
}
