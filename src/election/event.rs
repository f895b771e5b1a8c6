//! What happens to an election, and what it wants done.

use super::{Deadline, Hold, Lease, LeaseId, Observation, RoleName, Standing, Time, Token};
use std::time::Duration;

/// What happens to an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Time has passed; see [`next_timeout`](super::Election::next_timeout).
    Tick,
    /// The queue was seen to be so.
    Observed(Observation),
    /// The queue can't be seen at present.
    Blind,
    /// [`Action::Join`] succeeded.
    Joined(Lease),
    /// [`Action::Join`] failed, or nobody knows; `lease` may then exist in the store.
    JoinFailed {
        /// What has to be revoked before joining again.
        lease: LeaseId,
        /// When a lease granted by this attempt has run out at the latest.
        gone_by: Time,
    },
    /// [`Action::KeepAlive`] was answered.
    KeptAlive {
        /// Which lease.
        lease: LeaseId,
        /// When the request was sent.
        sent_at: Time,
        /// What the store grants from its receipt.
        ttl: Duration,
    },
    /// [`Action::KeepAlive`] was not answered in time, or the connection failed. The lease may live.
    KeepAliveFailed(LeaseId),
    /// The store said that there is no such lease.
    LeaseGone(LeaseId),
    /// The place that hangs on this lease is out of sight, in such a way that others may lead; yet it may come back.
    OutOfSight(LeaseId),
    /// [`Action::Verify`] was answered.
    Verified(LeaseId, Standing),
    /// [`Action::Verify`] was not answered in time.
    VerifyFailed(LeaseId),
    /// [`Action::Release`] succeeded: the store knows nothing of the lease any more.
    Released(LeaseId),
    /// [`Action::Release`] was not answered in time.
    ReleaseFailed(LeaseId),
    /// The last promise given to the application ends then; the answer to [`Action::CollectPromises`].
    Promised(Time),
    /// Give up leadership, and don't campaign for `cooldown`.
    Resign {
        /// How long to stay out, from the release on.
        cooldown: Duration,
    },
    /// Don't campaign while this hold is in force, and give up what is held.
    Hold(Hold),
    /// This hold is no more.
    Lift(Hold),
    /// The application says that it has stopped: no promise matters any more.
    ApplicationSaysItStopped,
    /// The application was seen to stop; the answer to [`Action::StopApplication`]. The token is that of the
    /// leadership that it stopped for.
    ApplicationStopped {
        /// Which leadership.
        token: Token,
        /// Whether it ended in its own way: what is killed may have work under way.
        in_order: bool,
    },
    /// The application could not be told to stop, or would not; the other answer.
    ApplicationNotStopped(Token),
    /// The application ended by itself.
    ApplicationEnded {
        /// Of the leadership that it ran for.
        token: Token,
        /// Whether this candidate leaves with it.
        leave: bool,
        /// Whether it ended well.
        in_order: bool,
    },
    /// The application of that leadership is about to end, or has and something of it is left.
    ApplicationEnding(Token),
    /// The application is gone, as far as can be told from outside: it need not be waited for, but promises are kept.
    ApplicationGone,
    /// Those who direct traffic know that this leadership is over.
    Deregistered(Token),
    /// Give up everything, for good.
    Shutdown,
}

/// What an election wants done. The driver publishes the [`View`](super::View) before it carries out any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Get a lease of that id and take a place in the queue: [`Event::Joined`] or [`Event::JoinFailed`].
    Join(LeaseId),
    /// Renew the lease, within one retry_period: [`Event::KeptAlive`], [`Event::KeepAliveFailed`] or [`Event::LeaseGone`].
    KeepAlive(LeaseId),
    /// Find the place by a linearizable read: [`Event::Verified`] or [`Event::VerifyFailed`].
    Verify(LeaseId),
    /// Send no more keepalives on the lease, and revoke it: [`Event::Released`] or [`Event::ReleaseFailed`].
    Release(LeaseId),
    /// The same after an orderly step-down, and tell those who wait that it was one.
    HandOver(LeaseId),
    /// Start the application, under this fencing token.
    RunApplication(Token, Deadline),
    /// The application may run for longer.
    ExtendApplication(Deadline),
    /// Stop the application: [`Event::ApplicationStopped`] or [`Event::ApplicationNotStopped`].
    StopApplication {
        /// Of the leadership that is over.
        token: Token,
        /// Another may lead already: there is no time to stop in.
        at_once: bool,
    },
    /// Look up what was promised to the application: [`Event::Promised`]. "Not leader" is published by now.
    CollectPromises,
    /// Tell people: the role has changed.
    Report(Transition),
    /// Tell people: so long after its place became the first, this candidate leads.
    TookOver(Duration),
}

/// A change of role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// From this one
    pub from: RoleName,
    /// to that one,
    pub to: RoleName,
    /// because of this.
    pub reason: Reason,
}

/// Why a role changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// First in the queue, and verified.
    Elected,
    /// Another was seen to lead.
    LeaderSeen,
    /// Keepalives were not answered in time.
    Deadline,
    /// The queue could not be seen for as long as a lease may go unrenewed.
    Blind,
    /// The store had no such lease: expired or revoked.
    LeaseGone,
    /// The place in the queue was deleted.
    KeyGone,
    /// Asked to resign.
    Resign,
    /// Asked to shut down.
    Shutdown,
    /// Paused.
    Pause,
    /// The application was unhealthy.
    Unhealthy,
    /// The application ended by itself.
    ApplicationEnded,
    /// The lease was released after stepping down.
    Released,
}

impl Reason {
    /// As in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Elected => "elected",
            Reason::LeaderSeen => "leader_seen",
            Reason::Deadline => "deadline",
            Reason::Blind => "blind",
            Reason::LeaseGone => "lease_gone",
            Reason::KeyGone => "key_gone",
            Reason::Resign => "resign",
            Reason::Shutdown => "shutdown",
            Reason::Pause => "pause",
            Reason::Unhealthy => "unhealthy",
            Reason::ApplicationEnded => "application_ended",
            Reason::Released => "released",
        }
    }

    /// Those for which a leader steps down.
    pub const STEP_DOWNS: [Reason; 9] = [
        Reason::Deadline,
        Reason::Blind,
        Reason::LeaseGone,
        Reason::KeyGone,
        Reason::Resign,
        Reason::Shutdown,
        Reason::Pause,
        Reason::Unhealthy,
        Reason::ApplicationEnded,
    ];
}
