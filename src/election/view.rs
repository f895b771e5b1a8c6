//! What others may know of an election.

use super::{Hold, Holder, LeaseId, Time, Token};

/// An election as others see it. What it says of leadership holds only together with the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// This candidate's part.
    pub role: Role,
    /// Another candidate that leads, as far as is known.
    pub holder: Option<Holder>,
    /// What keeps this candidate from campaigning, if anything does.
    pub held_back: Option<Hold>,
}

/// A candidate's part in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nobody is known to lead yet.
    Starting,
    /// Does not lead.
    Follower,
    /// Leads, while the claim is valid.
    Leader(Claim),
    /// Has led, does not any more, and has not released yet.
    SteppingDown,
    /// Has left.
    Stopped,
}

/// A claim to lead. Whoever reads one compares it with the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The fencing token.
    pub token: Token,
    /// The lease that it hangs on.
    pub lease: LeaseId,
    /// Leads before this time, not at it and not after.
    pub valid_until: Time,
    /// A renewal is overdue from this time on.
    pub overdue_from: Time,
}

/// Until when an application may run, as far as the store has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When leadership ends: then it is asked to stop.
    pub stop_at: Time,
    /// When another may lead: then it is killed.
    pub kill_at: Time,
}

impl Claim {
    /// Whether this candidate leads at `now`.
    pub fn is_valid(&self, now: Time) -> bool {
        now < self.valid_until
    }
}

impl Role {
    /// The claim of a leader, which may have run out.
    pub fn claim(&self) -> Option<Claim> {
        match self {
            Role::Leader(claim) => Some(*claim),
            _ => None,
        }
    }

    /// The bare name, without the data.
    pub fn name(&self) -> RoleName {
        match self {
            Role::Starting => RoleName::Starting,
            Role::Follower => RoleName::Follower,
            Role::Leader(_) => RoleName::Leader,
            Role::SteppingDown => RoleName::SteppingDown,
            Role::Stopped => RoleName::Stopped,
        }
    }
}

/// A [`Role`] without its data: a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// See [`Role::Starting`].
    Starting,
    /// See [`Role::Follower`].
    Follower,
    /// See [`Role::Leader`].
    Leader,
    /// See [`Role::SteppingDown`].
    SteppingDown,
    /// See [`Role::Stopped`].
    Stopped,
}

impl RoleName {
    /// As in JSON, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RoleName::Starting => "starting",
            RoleName::Follower => "follower",
            RoleName::Leader => "leader",
            RoleName::SteppingDown => "stepping_down",
            RoleName::Stopped => "stopped",
        }
    }
}
