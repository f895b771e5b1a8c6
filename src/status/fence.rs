//! Whether a fencing token is the one under which this candidate leads: from a snapshot and the time.
//!
//! Only the leader's own sidecar can vouch for a token, for only it has the end of the lease to compare with the clock.
//! What another sidecar has seen of the queue may be late, but tokens only grow: an older one than any that was ever
//! heard of is out of date wherever that is asked.

use super::{Snapshot, valid_claim};
use crate::election::{Role, Time, Token, View};

/// What can be said of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// This candidate leads under it.
    Valid,
    /// A later leadership than its own is known of.
    Outdated,
    /// This candidate led under it, and knows of nobody who has led since.
    Former,
    /// Another candidate led under it when last heard of.
    Anothers,
    /// It is newer than anything that is known of.
    Unknown,
}

/// What can be said of `token` at `now`.
pub fn fence(snapshot: &Snapshot, now: Time, token: Token) -> Fence {
    if valid_claim(snapshot, now).is_some_and(|claim| claim.token == token) {
        return Fence::Valid;
    }
    match snapshot.newest_token {
        Some(newest) if token < newest => Fence::Outdated,
        Some(newest) if token == newest && snapshot.own_token == Some(token) => Fence::Former,
        Some(newest) if token == newest => Fence::Anothers,
        _ => Fence::Unknown,
    }
}

/// The token under which this candidate leads or led, as its view says.
pub(super) fn own(view: &View) -> Option<Token> {
    match view.role {
        Role::Leader(claim) => Some(claim.token),
        _ => None,
    }
}

/// The greatest token in a view, this candidate's or another's.
pub(super) fn newest(view: &View) -> Option<Token> {
    let holder = view.holder.as_ref().map(|holder| holder.token);
    own(view).max(holder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::{Candidate, Claim, Holder, LeaseId};
    use crate::status::ElectionStatus;
    use std::time::SystemTime;

    const END: Time = Time::from_nanos(10_000);
    const BEFORE_END: Time = Time::from_nanos(9_999);

    fn leader(token: Token) -> View {
        let claim = Claim {
            token,
            lease: LeaseId(7),
            valid_until: END,
            overdue_from: END,
        };
        View {
            held_back: None,
            role: Role::Leader(claim),
            holder: None,
        }
    }

    fn follower(holder: Option<Token>) -> View {
        let holder = holder.map(|token| Holder {
            lease: LeaseId(8),
            token,
            id: "b".into(),
            advertise: None,
        });
        View {
            held_back: None,
            role: Role::Follower,
            holder,
        }
    }

    /// What is said of a token after these views were published, one after the other.
    fn said(views: &[View], now: Time, token: Token) -> Fence {
        let candidate = Candidate {
            id: "a".into(),
            advertise: None,
        };
        let status = ElectionStatus::new("payments", &candidate, SystemTime::UNIX_EPOCH);
        for view in views {
            status.publish(view.clone(), SystemTime::UNIX_EPOCH);
        }
        fence(&status.snapshot(), now, token)
    }

    #[test]
    fn only_the_token_of_a_claim_that_is_valid_at_this_moment_is_valid() {
        let views = [leader(41)];
        assert_eq!(said(&views, BEFORE_END, 41), Fence::Valid);
        assert_eq!(said(&views, BEFORE_END, 40), Fence::Outdated);
        assert_eq!(said(&views, BEFORE_END, 42), Fence::Unknown);
        assert_eq!(said(&views, END, 41), Fence::Former);
        assert_eq!(said(&views, END, 40), Fence::Outdated);
    }

    #[test]
    fn of_the_token_of_another_candidate_nothing_is_said_and_older_ones_are_out_of_date() {
        let views = [follower(Some(41))];
        assert_eq!(said(&views, BEFORE_END, 40), Fence::Outdated);
        assert_eq!(said(&views, BEFORE_END, 41), Fence::Anothers);
        assert_eq!(said(&views, BEFORE_END, 42), Fence::Unknown);
        assert_eq!(said(&[], BEFORE_END, 0), Fence::Unknown);
    }

    #[test]
    fn the_token_of_a_leadership_that_has_ended_is_out_of_date_once_a_later_one_is_known() {
        let ended = [leader(41), follower(None)];
        assert_eq!(said(&ended, BEFORE_END, 41), Fence::Former);
        assert_eq!(said(&ended, BEFORE_END, 40), Fence::Outdated);
        let succeeded = [leader(41), follower(None), follower(Some(42))];
        assert_eq!(said(&succeeded, BEFORE_END, 41), Fence::Outdated);
        assert_eq!(said(&succeeded, BEFORE_END, 42), Fence::Anothers);
    }

    #[test]
    fn what_was_out_of_date_stays_so_though_nobody_is_seen_to_lead_any_more() {
        let views = [follower(Some(41)), follower(None)];
        assert_eq!(said(&views, BEFORE_END, 40), Fence::Outdated);
        assert_eq!(said(&views, BEFORE_END, 41), Fence::Anothers);
    }
}
