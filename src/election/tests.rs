//! The state machine, told as sentences. One time unit is a millisecond; ttl 10 s, renew_deadline 6 s,
//! retry_period 2 s.

mod application;
mod budget;
mod deregistration;
mod following;
mod joining;
mod keepalives;
mod losses;
mod resigning;
mod shutdown;
mod validity;

use super::*;
use std::time::Duration;

const OTHER: LeaseId = LeaseId(0xb);
/// With it the first keepalive comes at the end of the first period.
const SEED: u64 = 47;

/// The lease that the candidate joins with first.
fn own() -> LeaseId {
    let mut election = Election::new(timing(), Policy::default(), SEED);
    match election.step(Time::ORIGIN, Event::Tick)[..] {
        [Action::Join(lease)] => lease,
        ref actions => panic!("{actions:?}"),
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Time {
    Time::ORIGIN + ms(millis)
}

fn timing() -> Timing {
    Timing::new(ms(10_000), ms(6_000), ms(2_000)).unwrap()
}

fn lease(sent_at: u64) -> Lease {
    Lease {
        id: own(),
        token: 7,
        ttl: ms(10_000),
        sent_at: at(sent_at),
    }
}

fn holder(lease: LeaseId, token: Token) -> Holder {
    Holder {
        lease,
        token,
        id: format!("candidate-{lease}"),
        advertise: None,
    }
}

fn sight(revision: u64, first: Option<(LeaseId, Token)>, present: bool) -> Event {
    Event::Observed(Observation {
        revision,
        holder: first.map(|(lease, token)| holder(lease, token)),
        present,
        contested: first.is_some_and(|(lease, _)| lease != own()),
        handed_over: false,
    })
}

fn kept_alive(sent_at: u64) -> Event {
    Event::KeptAlive {
        lease: own(),
        sent_at: at(sent_at),
        ttl: ms(10_000),
    }
}

/// A candidate, and what it wanted done since the last look.
struct Candidate {
    election: Election,
    actions: Vec<Action>,
}

impl Candidate {
    fn new(policy: Policy) -> Self {
        Candidate {
            election: Election::new(timing(), policy, SEED),
            actions: Vec::new(),
        }
    }

    fn waiting_behind_other() -> Self {
        let mut candidate = Candidate::new(Policy::default());
        candidate.on(0, Event::Tick);
        candidate.on(0, Event::Joined(lease(0)));
        candidate.on(1, sight(7, Some((OTHER, 5)), true));
        candidate.actions.clear();
        candidate
    }

    fn leading_with(shutdown_wait: ShutdownWait) -> Self {
        Self::leading_by(Policy {
            shutdown_wait,
            ..Policy::default()
        })
    }

    fn leading_by(policy: Policy) -> Self {
        let mut candidate = Candidate::new(policy);
        candidate.on(0, Event::Tick);
        candidate.on(1, Event::Joined(lease(0)));
        candidate.on(2, sight(7, Some((own(), 7)), true));
        candidate.on(3, Event::Verified(own(), Standing::First(7)));
        assert!(candidate.leads(3));
        candidate.actions.clear();
        candidate
    }

    fn leading() -> Self {
        Self::leading_with(ShutdownWait::Promise)
    }

    fn on(&mut self, now: u64, event: Event) -> &mut Self {
        self.actions.extend(self.election.step(at(now), event));
        self
    }

    fn leads(&self, now: u64) -> bool {
        matches!(self.election.view().role, Role::Leader(claim) if claim.is_valid(at(now)))
    }

    fn role(&self) -> RoleName {
        self.election.view().role.name()
    }

    #[track_caller]
    fn wants(&mut self, expected: &[Action]) -> &mut Self {
        let wanted: Vec<Action> = std::mem::take(&mut self.actions)
            .into_iter()
            .filter(|action| !matches!(action, Action::Report(_)))
            .map(|action| match action {
                // A later lease has another name.
                Action::Join(_) => Action::Join(own()),
                action => action,
            })
            .collect();
        assert_eq!(wanted, expected);
        self
    }

    #[track_caller]
    fn reported(&self, from: RoleName, to: RoleName, reason: Reason) {
        let report = Action::Report(Transition { from, to, reason });
        assert!(
            self.actions.contains(&report),
            "{report:?} not in {:?}",
            self.actions
        );
    }
}
