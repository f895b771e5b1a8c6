//! The store: leases, a queue by revision, and what a candidate sees of it.

use super::driver::{Answer, Request};
use super::{TTL, World};
use tenure::election::{Holder, LeaseId, Observation, Standing};

impl World {
    pub(super) fn serve(&mut self, request: Request) -> Answer {
        match request {
            Request::Join(lease) => {
                self.revision += 1;
                self.leases.insert(lease, self.now + TTL);
                self.queue.insert(self.revision, lease);
                Answer::Joined(self.revision)
            }
            Request::KeepAlive(lease) => {
                let now = self.now;
                let known = self
                    .leases
                    .get_mut(&lease)
                    .map(|expiry| *expiry = now + TTL);
                Answer::Renewed(known.is_some())
            }
            Request::Verify(lease) => Answer::Standing(self.standing(lease)),
            Request::Release(lease) => {
                self.revoke(lease);
                Answer::Released
            }
        }
    }

    pub(super) fn revoke(&mut self, lease: LeaseId) {
        if self.leases.remove(&lease).is_some() {
            self.revision += 1;
            self.queue.retain(|_, place| *place != lease);
        }
    }

    fn standing(&self, lease: LeaseId) -> Standing {
        let mut places = self.queue.iter().enumerate();
        match places.find(|(_, (_, place))| **place == lease) {
            Some((0, (token, _))) => Standing::First(*token),
            Some(_) => Standing::Behind,
            None => Standing::Gone,
        }
    }

    pub(super) fn sight(&self, name: usize) -> Observation {
        let own = self.candidates[name].own;
        Observation {
            revision: self.revision,
            holder: self.queue.iter().next().map(|(token, lease)| Holder {
                lease: *lease,
                token: *token,
                id: String::new(),
                advertise: None,
            }),
            present: own.is_some_and(|own| self.standing(own) != Standing::Gone),
            contested: self.queue.values().any(|place| Some(*place) != own),
            handed_over: false,
        }
    }
}
