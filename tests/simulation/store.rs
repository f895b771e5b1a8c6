//! A store that behaves like etcd: a lease is swept late, never early; a change of its leader lengthens all
//! leases, and the old leader goes on answering keepalives for a while, to no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tenure::election::{Holder, LeaseId, Observation, Standing, Time, Token};

/// How often etcd looks for leases that have run out.
pub(crate) const SWEEP_PERIOD: Duration = Duration::from_millis(500);

/// How long a deposed etcd leader may not know that it is one; a new one lengthens leases by as much.
pub(crate) const ELECTION_TIMEOUT: Duration = Duration::from_millis(1000);

/// All times in here are by the store's own clock.
#[derive(Debug, Default)]
pub(crate) struct Store {
    revision: u64,
    leases: BTreeMap<LeaseId, Granted>,
    queue: BTreeMap<Token, LeaseId>,
    /// Leases that were given up, or whose holder has crashed.
    nobodys: BTreeSet<LeaseId>,
    /// Until then, keepalives may be answered by one who leads no more.
    deposed_until: Time,
    /// Places deleted by somebody who had no business to.
    tampered: Vec<LeaseId>,
}

#[derive(Debug)]
struct Granted {
    ttl: Duration,
    expires_at: Time,
    /// Whether it was granted before the last change of leader: of a later one, the old leader never heard.
    known_to_old: bool,
}

impl Store {
    pub(crate) fn new() -> Self {
        Store {
            revision: 1,
            ..Store::default()
        }
    }

    /// Grants a lease; again, if asked again, to no effect.
    pub(crate) fn grant(&mut self, now: Time, lease: LeaseId, ttl: Duration) {
        let expires_at = now + ttl;
        self.leases.entry(lease).or_insert(Granted {
            ttl,
            expires_at,
            known_to_old: false,
        });
    }

    /// Puts a key that hangs on the lease; nothing where there is no such lease.
    pub(crate) fn enter(&mut self, lease: LeaseId) -> Option<Token> {
        self.leases.get(&lease)?;
        if let Some(token) = self.token_of(lease) {
            return Some(token);
        }
        self.revision += 1;
        self.queue.insert(self.revision, lease);
        Some(self.revision)
    }

    /// The ttl, or nothing where there is no such lease.
    pub(crate) fn keep_alive(
        &mut self,
        now: Time,
        lease: LeaseId,
        by_old: bool,
    ) -> Option<Duration> {
        let granted = self.leases.get_mut(&lease)?;
        if !(by_old && granted.known_to_old && now < self.deposed_until) {
            granted.expires_at = granted.expires_at.max(now + granted.ttl);
        }
        Some(granted.ttl)
    }

    pub(crate) fn standing(&self, lease: LeaseId) -> Standing {
        let mut places = self.queue.iter().enumerate();
        match places.find(|(_, (_, place))| **place == lease) {
            Some((0, (token, _))) => Standing::First(*token),
            Some(_) => Standing::Behind,
            None => Standing::Gone,
        }
    }

    pub(crate) fn revoke(&mut self, lease: LeaseId) -> bool {
        self.leases.remove(&lease);
        self.nobodys.insert(lease);
        self.remove_place(lease)
    }

    /// Removes leases that have run out. Whether any had.
    pub(crate) fn sweep(&mut self, now: Time) -> bool {
        let expired: Vec<LeaseId> = self
            .leases
            .iter()
            .filter(|(_, granted)| granted.expires_at <= now)
            .map(|(lease, _)| *lease)
            .collect();
        expired
            .iter()
            .fold(false, |any, lease| self.revoke(*lease) | any)
    }

    /// Another etcd member takes the lead.
    pub(crate) fn change_leader(&mut self, now: Time) {
        for granted in self.leases.values_mut() {
            granted.expires_at = now + granted.ttl + ELECTION_TIMEOUT;
            granted.known_to_old = true;
        }
        self.deposed_until = now + ELECTION_TIMEOUT;
    }

    /// Somebody deletes the first key, or revokes its lease.
    pub(crate) fn tamper(&mut self, revoke: bool) -> Option<LeaseId> {
        let lease = *self.queue.values().next()?;
        self.tampered.push(lease);
        if revoke {
            self.leases.remove(&lease);
        }
        self.remove_place(lease);
        Some(lease)
    }

    pub(crate) fn was_tampered_with(&self, lease: LeaseId) -> bool {
        self.tampered.contains(&lease)
    }

    pub(crate) fn observation(&self, own: Option<LeaseId>) -> Observation {
        Observation {
            revision: self.revision,
            holder: self.queue.iter().next().map(|(token, lease)| Holder {
                lease: *lease,
                token: *token,
                id: lease.to_string(),
                advertise: None,
            }),
            present: own.is_some_and(|own| self.token_of(own).is_some()),
            contested: self.queue.values().any(|lease| Some(*lease) != own),
            handed_over: false,
        }
    }

    /// Its holder has crashed: the lease runs out.
    pub(crate) fn abandon(&mut self, lease: LeaseId) {
        self.nobodys.insert(lease);
    }

    /// The leases that somebody has to release.
    pub(crate) fn held(&self) -> impl Iterator<Item = LeaseId> {
        let held = self.leases.keys().copied();
        held.filter(|lease| !self.nobodys.contains(lease))
    }

    /// Whether every lease has been released that anybody could release. A request for a lease that comes after its
    /// revocation or its sender's end, on a network that lost sight of it, is granted: nobody holds it, and it runs out.
    pub(crate) fn is_left_in_order(&self) -> bool {
        self.held().next().is_none()
    }

    fn token_of(&self, lease: LeaseId) -> Option<Token> {
        let place = self.queue.iter().find(|(_, place)| **place == lease);
        place.map(|(token, _)| *token)
    }

    fn remove_place(&mut self, lease: LeaseId) -> bool {
        let Some(token) = self.token_of(lease) else {
            return false;
        };
        self.revision += 1;
        self.queue.remove(&token);
        true
    }
}
