//! The states of a candidate, with what belongs to each.

use super::held::Held;
use super::{LeaseId, Time};
use std::time::Duration;

/// ```text
///                 ┌───────────── failed ──────────────┐
///                 ▼                                    │
///   ┌────────── Out ──────── join ───────────────► Joining
///   │             ▲  (unless held back)                │ joined
///   │             │                                    ▼
///   │             │◄─ released ─ Releasing ◄─ lost ─ Waiting   behind others, or first
///   │             │                ▲   ▲               │       and not verified yet
///   │ shutdown    │                │   │               │ first, verified by a linearizable
///   │             │                │   └──── lost ──┐  │ read, and still valid
///   │             │  promises over,│                │  ▼
///   │             │  application   │                Leading
///   │             │  stopped       │                │ resign, pause, shutdown,
///   │             │                └─ SteppingDown ◄┘ or lost with an application to stop
///   ▼             ▼                   (says "not leader"; renewing while there is something to renew)
///  Stopped ◄── released, where the intent is to stop
/// ```
/// "Lost" is: the deadline passed without an answer, the lease or the place is gone. Every way out of a
/// held lease leads through `Releasing`, which revokes it: nothing is left behind.
#[derive(Clone, Debug)]
pub(super) enum State {
    Out {
        until: Time,
    },
    Joining {
        lease: LeaseId,
    },
    Waiting {
        held: Held,
        /// When the own place was first seen to be the first.
        first_since: Option<Time>,
        verify: Verify,
        /// Whether another was ever ahead.
        queued: bool,
    },
    Leading {
        held: Held,
    },
    SteppingDown {
        held: Held,
        /// Unknown until the promises are collected.
        release_at: Option<Time>,
        /// When the last promise is over; the origin until they are collected.
        promises_end: Time,
        stopping: Stopping,
        /// Until then it is waited for those who direct traffic to be told.
        deregistered_by: Time,
    },
    Releasing {
        lease: LeaseId,
        /// By then the lease has run out by itself.
        gone_by: Time,
        /// When to try again; none while a try is under way.
        retry_at: Option<Time>,
        end: End,
    },
    Stopped,
}

/// What the candidate is after; it decides where to go once nothing is held any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    Campaign,
    /// For so long, once all is released.
    StayOut(Duration),
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verify {
    NotNeeded,
    Outstanding,
    RetryAt(Time),
}

/// How a leadership, or a place that never led, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was lost, or given up before it led.
    Lost,
    /// Stepped down from, but the application was killed, or ended with a failure.
    Abrupt,
    /// Stepped down from.
    InOrder,
}

/// How far the application has come with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    /// Nobody knows, and nobody waits for it; or it has stopped.
    Over { in_order: bool },
    /// It was told to, and has until then.
    Awaited { by: Time },
    /// It could not be told, or would not. The lease runs out instead.
    Failed,
}

impl Verify {
    pub(super) fn is_due(self, now: Time) -> bool {
        matches!(self, Verify::RetryAt(at) if at <= now)
    }
}

impl State {
    pub(super) fn held(&self) -> Option<&Held> {
        match self {
            State::Waiting { held, .. }
            | State::Leading { held }
            | State::SteppingDown { held, .. } => Some(held),
            _ => None,
        }
    }

    pub(super) fn is_joining(&self, id: LeaseId) -> bool {
        matches!(self, State::Joining { lease } if *lease == id)
    }

    pub(super) fn any_held_mut(&mut self) -> Option<&mut Held> {
        match self {
            State::Waiting { held, .. }
            | State::Leading { held }
            | State::SteppingDown { held, .. } => Some(held),
            _ => None,
        }
    }

    /// The held lease, if it is this one: an answer about another comes too late to matter.
    pub(super) fn held_mut(&mut self, lease: LeaseId) -> Option<&mut Held> {
        self.any_held_mut().filter(|held| held.lease.id == lease)
    }
}
