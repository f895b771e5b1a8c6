//! Which fault comes when, for how long, and on whom: determined by the seed alone.
//!
//! One thing stays open until the moment: a fault may be meant for whoever leads just then.

use crate::support::ms;
use std::time::Duration;

pub(crate) const SIDECARS: usize = 5;
pub(crate) const MEMBERS: usize = 3;

/// Between two faults; half of it on average.
pub(crate) const LONGEST_PAUSE: Duration = ms(900);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Freeze,
    Kill,
    Term,
    Resign,
    LoseAnswers,
    LoseRequests,
    Cut,
    Silence,
    Delay,
    FreezeMember,
    KillMember,
    MuteMember,
    MoveRaftLeader,
    RevokeLease,
    DeleteKey,
}

/// Each kind, what people call it, and how often it comes, in percent.
pub(crate) const KINDS: [(Kind, &str, u32); 15] = [
    (Kind::Freeze, "sidecar frozen", 13),
    (Kind::Kill, "sidecar killed", 8),
    (Kind::Term, "sidecar terminated", 7),
    (Kind::Resign, "resigned", 6),
    (Kind::LoseAnswers, "answers lost", 9),
    (Kind::LoseRequests, "requests lost", 6),
    (Kind::Cut, "connections cut", 8),
    (Kind::Silence, "links silent", 9),
    (Kind::Delay, "answers delayed", 8),
    (Kind::FreezeMember, "etcd member frozen", 7),
    (Kind::KillMember, "etcd member killed", 6),
    (Kind::MuteMember, "etcd member not heard by the others", 3),
    (Kind::MoveRaftLeader, "etcd leader moved", 3),
    (Kind::RevokeLease, "lease revoked", 3),
    (Kind::DeleteKey, "key deleted", 4),
];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        let mut kinds = KINDS.iter();
        kinds
            .find(|(kind, ..)| *kind == self)
            .map_or("", |(_, name, _)| name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its place in the schedule.
    pub(crate) number: usize,
    /// Since the fault before it.
    pub(crate) pause: Duration,
    pub(crate) kind: Kind,
    /// Whether it is meant for whoever leads, if somebody does.
    pub(crate) at_leader: bool,
    /// Otherwise, which sidecar or member. Where that one suffers already, the next one.
    pub(crate) victim: usize,
    pub(crate) lasts: Duration,
    /// Of a sidecar's links, the one to this member, or all.
    pub(crate) link: Option<usize>,
    /// How late delayed answers are, and how long one who resigns stays out.
    pub(crate) delay: Duration,
}

/// Faults without end.
pub(crate) struct Schedule {
    rng: fastrand::Rng,
    next: usize,
}

impl Schedule {
    pub(crate) fn of(seed: u64) -> Schedule {
        Schedule {
            rng: fastrand::Rng::with_seed(seed),
            next: 0,
        }
    }

    fn kind(&mut self) -> Kind {
        let mut left = self.rng.u32(0..100);
        for (kind, _, percent) in KINDS {
            if left < percent {
                return kind;
            }
            left -= percent;
        }
        Kind::Freeze
    }

    /// Many are short, and some outlast the ttl.
    fn lasts(&mut self) -> Duration {
        let longest = [600, 2_500, 4_500][self.rng.usize(0..3)];
        ms(self.rng.u64(150..longest))
    }
}

impl Iterator for Schedule {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        self.next += 1;
        let kind = self.kind();
        let is_on_member = matches!(
            kind,
            Kind::FreezeMember | Kind::KillMember | Kind::MuteMember
        );
        let victims = if is_on_member { MEMBERS } else { SIDECARS };
        Some(Fault {
            number: self.next,
            pause: ms(self.rng.u64(20..LONGEST_PAUSE.as_millis() as u64)),
            kind,
            at_leader: !is_on_member && self.rng.u32(0..100) < 40,
            victim: self.rng.usize(0..victims),
            lasts: self.lasts(),
            link: (self.rng.u32(0..100) < 35).then(|| self.rng.usize(0..MEMBERS)),
            delay: ms(self.rng.u64(100..900)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FAULTS, SEED};
    use super::*;

    fn faults(seed: u64) -> Vec<Fault> {
        Schedule::of(seed).take(1_000).collect()
    }

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
    }

    #[test]
    fn the_short_cut_contains_every_kind() {
        let percents: u32 = KINDS.iter().map(|(.., percent)| percent).sum();
        assert_eq!(percents, 100);
        let faults: Vec<Fault> = Schedule::of(SEED).take(FAULTS).collect();
        for (kind, name, _) in KINDS {
            assert!(faults.iter().any(|fault| fault.kind == kind), "{name}");
        }
    }
}
