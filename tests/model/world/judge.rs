//! What must never be, and what must come about in the end.

use super::{TTL, World};
use tenure::election::{Role, Time, Token};

impl World {
    /// What is wrong with this state, if anything is.
    pub(crate) fn crime(&mut self) -> Option<String> {
        let claims = [0, 1].map(|name| self.claim(name));
        let relied_on =
            [0, 1].map(|name| claims[name].is_some() || self.candidates[name].promised > self.now);
        if relied_on == [true, true] {
            return Some(format!("both lead, or were promised to: {claims:?}"));
        }
        for (_, token) in claims.into_iter().flatten() {
            if token < self.highest {
                return Some(format!("{token} leads after {}", self.highest));
            }
            self.highest = token;
        }
        None
    }

    /// Whether somebody leads soon, where all goes well from here on.
    pub(crate) fn recovers(mut self) -> bool {
        let last = self.now + TTL * 3;
        (self.losses, self.freezes, self.resignations) = (0, 0, 0);
        while !(0..2).any(|name| self.claim(name).is_some()) {
            // The clock comes last, when nothing else is left to do.
            match self.steps(last).first() {
                Some(step) => self.take(*step),
                None => return false,
            }
        }
        true
    }

    /// Until when a candidate leads, and with which token.
    pub(crate) fn claim(&self, name: usize) -> Option<(Time, Token)> {
        match self.candidates[name].core.view().role {
            Role::Leader(claim) if claim.is_valid(self.now) => {
                Some((claim.valid_until, claim.token))
            }
            _ => None,
        }
    }
}
