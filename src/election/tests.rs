//! The state machine, told as sentences. One time unit is a millisecond; ttl 10 s, renew_deadline 6 s,
//! retry_period 2 s.

use super::*;
use std::time::Duration;

mod application;

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

#[test]
fn a_candidate_joins_verifies_and_leads() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick).wants(&[Action::Join(own())]);
    c.on(1, Event::Joined(lease(0))).wants(&[]);
    c.on(2, sight(7, Some((own(), 7)), true))
        .wants(&[Action::Verify(own())]);
    assert_eq!(c.role(), RoleName::Starting);
    c.on(3, Event::Verified(own(), Standing::First(7)));
    c.reported(RoleName::Starting, RoleName::Leader, Reason::Elected);
    assert!(c.leads(3));
}

#[test]
fn validity_counts_from_sending_the_grant_not_from_its_answer() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick);
    c.on(5_000, Event::Joined(lease(0)));
    c.on(5_001, sight(7, Some((own(), 7)), true));
    c.on(5_002, Event::Verified(own(), Standing::First(7)));
    assert!(c.leads(5_999));
    assert!(!c.leads(6_000));
}

#[test]
fn validity_counts_from_sending_the_keepalive_not_from_its_answer() {
    let mut c = Candidate::leading();
    c.on(2_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(3_500, kept_alive(2_000));
    assert!(c.leads(7_999));
    assert!(!c.leads(8_000));
}

#[test]
fn keepalives_go_out_every_retry_period_one_at_a_time() {
    let mut c = Candidate::leading();
    c.on(2_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(2_001, kept_alive(2_000)).wants(&[]);
    assert_eq!(c.election.next_timeout(), Some(at(4_000)));
    c.on(3_999, Event::Tick).wants(&[]);
    c.on(4_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(6_000, Event::Tick).wants(&[]);
    c.on(6_001, kept_alive(4_000))
        .wants(&[Action::KeepAlive(own())]);
}

#[test]
fn keepalives_come_on_a_beat_that_elections_share_and_never_later_than_a_period() {
    let mut c = Candidate::leading();
    c.on(2_000, Event::Tick);
    c.on(2_001, kept_alive(2_000));
    for sent_at in [2_001, 2_030, 2_062] {
        c.on(2_100, kept_alive(sent_at));
        assert_eq!(c.election.next_timeout(), Some(at(4_000)), "{sent_at}");
    }
    c.on(2_100, kept_alive(2_063));
    let next = c.election.next_timeout();
    assert_eq!(next, Some(at(4_062) + Duration::from_micros(500)));
}

#[test]
fn the_first_keepalive_comes_anywhere_in_the_first_period_so_that_elections_do_not_go_in_step() {
    let mut quarters = [0; 4];
    for seed in 0..400 {
        let mut election = Election::new(timing(), Policy::default(), seed);
        let [Action::Join(id)] = election.step(at(0), Event::Tick)[..] else {
            panic!("does not join");
        };
        let actions = election.step(at(1), Event::Joined(Lease { id, ..lease(0) }));
        let first = if actions.contains(&Action::KeepAlive(id)) {
            ms(1)
        } else {
            election.next_timeout().unwrap().since(Time::ORIGIN)
        };
        assert!(first <= ms(2_000), "{first:?}");
        quarters[(first.as_millis() / 500).min(3) as usize] += 1;
    }
    assert!(quarters.iter().all(|&count| count > 50), "{quarters:?}");
}

#[test]
fn an_unanswered_keepalive_is_followed_by_another_soon() {
    let mut c = Candidate::leading();
    c.on(2_000, Event::Tick);
    c.on(2_100, Event::KeepAliveFailed(own()))
        .wants(&[Action::KeepAlive(own())]);
    let next = c.election.next_timeout().unwrap();
    assert!(next > at(2_100) && next <= at(2_115), "{next:?}");
    c.on(2_115, Event::Tick).wants(&[Action::KeepAlive(own())]);
    assert!(c.leads(5_999));
}

#[test]
fn after_an_outage_keepalives_come_anywhere_in_a_period_again() {
    let mut quarters = [0; 4];
    for seed in 0..400 {
        let mut election = Election::new(timing(), Policy::default(), seed);
        let [Action::Join(id)] = election.step(at(0), Event::Tick)[..] else {
            panic!("does not join");
        };
        election.step(at(1), Event::Joined(Lease { id, ..lease(0) }));
        election.step(at(2_000), Event::Tick);
        election.step(at(3_000), Event::KeepAliveFailed(id));
        election.step(at(3_100), Event::Tick);
        let event = Event::KeptAlive {
            lease: id,
            sent_at: at(3_100),
            ttl: ms(10_000),
        };
        let next = if election
            .step(at(3_101), event)
            .contains(&Action::KeepAlive(id))
        {
            ms(1)
        } else {
            election.next_timeout().unwrap().since(at(3_100))
        };
        assert!(next <= ms(2_000), "{next:?}");
        quarters[(next.as_millis() / 500).min(3) as usize] += 1;
    }
    assert!(quarters.iter().all(|&count| count > 50), "{quarters:?}");
}

#[test]
fn a_leader_whose_keepalives_are_not_answered_steps_down_and_revokes() {
    let mut c = Candidate::leading();
    c.on(2_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(6_000, Event::Tick);
    c.reported(RoleName::Leader, RoleName::Follower, Reason::Deadline);
    c.wants(&[Action::Release(own())]);
    c.on(6_100, Event::ReleaseFailed(own()));
    c.on(7_000, Event::Tick).wants(&[Action::Release(own())]);
    c.on(8_000, Event::Tick).wants(&[]);
    c.on(8_001, Event::Released(own())).wants(&[]);
    c.on(8_100, Event::Tick).wants(&[Action::Join(own())]);
}

#[test]
fn an_answer_after_the_deadline_revives_nothing() {
    let mut c = Candidate::leading();
    c.on(5_900, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(6_001, kept_alive(5_900))
        .wants(&[Action::Release(own())]);
    assert!(!c.leads(6_001));
}

#[test]
fn a_frozen_leader_leads_no_more_at_its_first_look_at_the_clock() {
    let mut c = Candidate::leading();
    assert!(!c.leads(60_000));
    c.on(60_000, Event::Resign { cooldown: ms(0) })
        .wants(&[Action::Release(own())]);
}

#[test]
fn a_lease_that_the_store_does_not_know_is_lost_at_once() {
    let mut c = Candidate::leading();
    c.on(2_000, Event::Tick);
    c.on(2_001, Event::LeaseGone(own()));
    c.reported(RoleName::Leader, RoleName::Follower, Reason::LeaseGone);
}

#[test]
fn a_leader_whose_place_is_deleted_steps_down_though_its_lease_lives() {
    let mut c = Candidate::leading();
    c.on(100, sight(9, None, false));
    c.reported(RoleName::Leader, RoleName::Follower, Reason::KeyGone);
    c.wants(&[Action::Release(own())]);
}

#[test]
fn a_leader_behind_another_steps_down() {
    let mut c = Candidate::leading();
    c.on(100, sight(9, Some((OTHER, 3)), true));
    c.reported(RoleName::Leader, RoleName::Follower, Reason::KeyGone);
}

#[test]
fn a_sight_from_before_the_place_was_taken_says_nothing_of_it() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick);
    c.on(1, Event::Joined(lease(0)));
    c.on(2, sight(6, Some((OTHER, 5)), false));
    c.wants(&[Action::Join(own())]);
    assert_eq!(c.role(), RoleName::Follower);
}

#[test]
fn a_sight_of_the_new_place_counts_though_it_came_before_the_answer_that_it_was_taken() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick).wants(&[Action::Join(own())]);
    c.on(1, sight(7, Some((own(), 7)), true)).wants(&[]);
    c.on(2, Event::Joined(lease(0)))
        .wants(&[Action::Verify(own())]);
}

#[test]
fn a_candidate_that_joins_does_not_take_its_own_place_for_a_leader() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick);
    c.on(1, sight(7, Some((own(), 7)), true));
    assert_eq!(c.role(), RoleName::Starting);
    assert_eq!(c.election.view().holder, None);
}

#[test]
fn a_lease_that_was_not_asked_for_is_not_taken() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick);
    let strange = Lease {
        id: OTHER,
        ..lease(0)
    };
    c.on(1, Event::Joined(strange));
    c.on(2, sight(7, Some((OTHER, 7)), true))
        .wants(&[Action::Join(own())]);
}

#[test]
fn a_waiter_follows_and_wants_nothing_but_keepalives() {
    let mut c = Candidate::waiting_behind_other();
    assert_eq!(c.role(), RoleName::Follower);
    assert_eq!(c.election.view().holder, Some(holder(OTHER, 5)));
    c.on(2_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
}

#[test]
fn a_waiter_takes_over_once_it_is_first_and_has_verified_that() {
    let mut c = Candidate::waiting_behind_other();
    c.on(500, sight(8, Some((own(), 7)), true))
        .wants(&[Action::Verify(own())]);
    assert!(!c.leads(500));
    c.on(502, Event::Verified(own(), Standing::First(7)));
    assert!(c.leads(502));
    c.wants(&[Action::TookOver(ms(2))]);
}

#[test]
fn a_waiter_that_is_not_the_successor_asks_the_store_nothing() {
    let mut c = Candidate::waiting_behind_other();
    c.on(500, sight(8, Some((LeaseId(0xc), 6)), true))
        .wants(&[]);
}

#[test]
fn an_unanswered_verification_is_tried_again_and_claims_nothing() {
    let mut c = Candidate::waiting_behind_other();
    c.on(500, sight(8, Some((own(), 7)), true));
    c.on(1_500, Event::VerifyFailed(own()))
        .wants(&[Action::Verify(own())]);
    assert!(!c.leads(1_500));
    c.on(1_750, Event::Tick).wants(&[Action::Verify(own())]);
}

#[test]
fn a_place_that_is_written_only_when_it_is_verified_has_its_token_from_then_on() {
    let mut c = Candidate::new(Policy {
        application: Application::Supervised(ms(1_000)),
        ..Policy::default()
    });
    c.on(0, Event::Tick);
    let unwritten = Lease {
        token: 0,
        ..lease(0)
    };
    c.on(1, Event::Joined(unwritten));
    c.on(2, sight(8, Some((OTHER, 5)), true));
    c.on(500, sight(9, Some((own(), 0)), true));
    c.actions.clear();
    assert_eq!(c.election.view().role.claim(), None);
    c.on(501, Event::Verified(own(), Standing::First(9)));
    let claim = c.election.view().role.claim().unwrap();
    assert_eq!(claim.token, 9);
    let runs_under = |action: &Action| matches!(action, Action::RunApplication(9, _));
    assert!(c.actions.iter().any(runs_under), "{:?}", c.actions);
}

#[test]
fn one_who_was_outrun_waits_the_whole_takeover_delay_when_it_is_first_again() {
    let first = |revision| sight(revision, Some((own(), 7)), true);
    let behind = |revision| sight(revision, Some((OTHER, 9)), true);
    // While it waited, while it was verified, and where the answer to that was lost.
    let outcomes = [
        None,
        Some(Event::Verified(own(), Standing::Behind)),
        Some(Event::VerifyFailed(own())),
    ];
    for outcome in outcomes {
        let mut c = Candidate::new(Policy {
            takeover_delay: ms(2_000),
            ..Policy::default()
        });
        let verifies = |c: &Candidate| c.actions.contains(&Action::Verify(own()));
        c.on(0, Event::Tick);
        c.on(0, Event::Joined(lease(0))).on(10, first(8));
        if let Some(outcome) = outcome {
            c.on(2_010, Event::Tick);
            assert!(verifies(&c));
            c.on(2_020, behind(9)).on(2_030, outcome);
        } else {
            c.on(1_000, behind(9));
        }
        c.on(3_000, kept_alive(2_990)).on(3_500, first(12));
        c.actions.clear();
        c.on(5_499, Event::Tick);
        assert!(!verifies(&c), "{:?}", c.actions);
        c.on(5_500, Event::Tick);
        assert!(verifies(&c), "{:?}", c.actions);
    }
}

#[test]
fn a_waiter_whose_place_is_gone_starts_over() {
    let mut c = Candidate::waiting_behind_other();
    c.on(500, sight(8, Some((own(), 7)), true));
    c.on(501, Event::Verified(own(), Standing::Gone));
    assert!(!c.leads(501));
    c.wants(&[Action::Verify(own()), Action::Release(own())]);
    c.on(502, Event::Released(own()));
    c.on(600, Event::Tick).wants(&[Action::Join(own())]);
}

#[test]
fn a_waiter_frozen_past_its_lease_starts_over_though_it_was_verified() {
    let mut c = Candidate::waiting_behind_other();
    c.on(500, sight(8, Some((own(), 7)), true));
    c.on(60_000, Event::Verified(own(), Standing::First(7)));
    assert!(!c.leads(60_000));
    c.wants(&[Action::Verify(own()), Action::Release(own())]);
}

#[test]
fn answers_about_another_lease_change_nothing() {
    let mut c = Candidate::leading();
    c.on(100, Event::LeaseGone(OTHER));
    c.on(101, Event::Released(OTHER));
    c.on(102, Event::KeepAliveFailed(OTHER)).wants(&[]);
    assert!(c.leads(102));
}

#[test]
fn a_join_that_nobody_answered_is_revoked_before_the_next() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick).wants(&[Action::Join(own())]);
    let failed = Event::JoinFailed {
        lease: own(),
        gone_by: at(10_000),
    };
    c.on(100, failed).wants(&[Action::Release(own())]);
    c.on(101, Event::Released(own()));
    c.on(200, Event::Tick).wants(&[Action::Join(own())]);
}

#[test]
fn a_shorter_grant_than_asked_shortens_the_deadline() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick);
    let short = Lease {
        ttl: ms(4_000),
        ..lease(0)
    };
    c.on(1, Event::Joined(short));
    c.on(2, sight(7, Some((own(), 7)), true));
    c.on(3, Event::Verified(own(), Standing::First(7)));
    assert!(c.leads(3_799));
    assert!(!c.leads(3_800));
}

#[test]
fn resigning_without_promises_releases_at_once_and_stays_out() {
    let mut c = Candidate::leading();
    c.on(
        100,
        Event::Resign {
            cooldown: ms(3_000),
        },
    )
    .wants(&[Action::CollectPromises]);
    assert_eq!(c.role(), RoleName::SteppingDown);
    c.on(100, Event::Promised(Time::ORIGIN))
        .wants(&[Action::Release(own())]);
    c.on(101, Event::Released(own()));
    assert_eq!(c.role(), RoleName::Follower);
    assert_eq!(c.election.next_timeout(), Some(at(3_101)));
    c.on(3_100, Event::Tick).wants(&[]);
    c.on(3_101, Event::Tick).wants(&[Action::Join(own())]);
}

#[test]
fn resigning_keeps_its_promise_and_the_lease_meanwhile() {
    let mut c = Candidate::leading();
    c.on(100, Event::Resign { cooldown: ms(0) });
    c.on(100, Event::Promised(at(6_000)))
        .wants(&[Action::CollectPromises]);
    assert_eq!(c.election.release_at(at(100)), Some(at(6_500)));
    assert!(!c.leads(100));
    c.on(2_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(2_001, kept_alive(2_000));
    c.on(6_499, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(6_500, Event::Tick).wants(&[Action::Release(own())]);
}

#[test]
fn the_cooldown_begins_when_all_is_released() {
    let mut c = Candidate::leading();
    c.on(
        100,
        Event::Resign {
            cooldown: ms(3_000),
        },
    );
    c.on(100, Event::Promised(at(5_000)));
    c.on(2_000, Event::Tick);
    c.on(2_001, kept_alive(2_000));
    c.on(5_500, Event::Tick);
    c.on(5_600, Event::Released(own()));
    assert_eq!(c.election.next_timeout(), Some(at(8_600)));
}

#[test]
fn an_application_that_has_stopped_needs_no_promise_kept() {
    let mut c = Candidate::leading();
    c.on(100, Event::Resign { cooldown: ms(0) });
    c.on(100, Event::Promised(at(6_000)));
    c.on(200, Event::ApplicationSaysItStopped)
        .wants(&[Action::CollectPromises, Action::Release(own())]);
}

#[test]
fn shutting_down_waits_for_the_promise_then_releases_then_stops() {
    let mut c = Candidate::leading();
    c.on(100, Event::Shutdown);
    c.reported(RoleName::Leader, RoleName::SteppingDown, Reason::Shutdown);
    c.on(100, Event::Promised(at(1_000)))
        .wants(&[Action::CollectPromises]);
    c.on(1_499, Event::Tick).wants(&[]);
    c.on(1_500, Event::Tick).wants(&[Action::Release(own())]);
    assert!(!c.election.is_stopped());
    c.on(1_501, Event::Released(own()));
    assert!(c.election.is_stopped());
    assert_eq!(c.role(), RoleName::Stopped);
}

#[test]
fn shutting_down_waits_for_nothing_where_configured_so() {
    let mut c = Candidate::leading_with(ShutdownWait::None);
    c.on(100, Event::Shutdown);
    c.on(100, Event::Promised(at(5_000)))
        .wants(&[Action::CollectPromises, Action::Release(own())]);
}

#[test]
fn shutting_down_waits_as_long_as_configured_and_not_shorter_than_promised() {
    for (promised, released) in [(0, 3_100), (5_000, 5_500)] {
        let mut c = Candidate::leading_with(ShutdownWait::For(ms(3_000)));
        c.on(100, Event::Shutdown);
        c.on(100, Event::Promised(at(promised)));
        assert_eq!(c.election.release_at(at(100)), Some(at(released)));
    }
}

#[test]
fn a_waiter_shuts_down_without_waiting() {
    let mut c = Candidate::waiting_behind_other();
    c.on(100, Event::Shutdown).wants(&[Action::Release(own())]);
    c.on(101, Event::Released(own()));
    assert!(c.election.is_stopped());
}

#[test]
fn shutting_down_while_joining_revokes_what_comes_of_it() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick);
    c.on(1, Event::Shutdown);
    assert!(!c.election.is_stopped());
    c.on(2, Event::Joined(lease(0)))
        .wants(&[Action::Join(own()), Action::Release(own())]);
    c.on(3, Event::Released(own()));
    assert!(c.election.is_stopped());
}

#[test]
fn shutting_down_gives_up_on_a_silent_store_when_the_lease_has_run_out_by_itself() {
    let mut c = Candidate::waiting_behind_other();
    c.on(100, Event::Shutdown);
    assert_eq!(c.election.next_timeout(), Some(at(10_000)));
    c.on(10_000, Event::Tick);
    assert!(c.election.is_stopped());
}

#[test]
fn a_deadline_that_passes_while_stepping_down_ends_it() {
    let mut c = Candidate::leading_with(ShutdownWait::For(ms(60_000)));
    c.on(100, Event::Shutdown);
    c.on(100, Event::Promised(at(6_000)));
    c.on(6_000, Event::Tick)
        .wants(&[Action::CollectPromises, Action::Release(own())]);
}

#[test]
fn only_a_leader_resigns() {
    let mut c = Candidate::waiting_behind_other();
    c.on(100, Event::Resign { cooldown: ms(0) }).wants(&[]);
    assert_eq!(c.role(), RoleName::Follower);
}

#[test]
fn a_candidate_that_sees_nothing_and_holds_nothing_knows_no_leader() {
    let mut c = Candidate::leading();
    c.on(
        100,
        Event::Resign {
            cooldown: ms(9_000),
        },
    );
    c.on(100, Event::Promised(Time::ORIGIN));
    c.on(101, Event::Released(own()));
    c.on(102, sight(9, Some((OTHER, 8)), false));
    assert_eq!(c.election.view().holder, Some(holder(OTHER, 8)));
    c.on(103, Event::Blind);
    assert_eq!(c.election.view().holder, None);
}

#[test]
fn a_candidate_never_follows_its_own_place() {
    let mut c = Candidate::leading();
    c.on(6_000, sight(7, Some((own(), 7)), true));
    assert_eq!(c.role(), RoleName::Follower);
    assert_eq!(c.election.view().holder, None);
    c.on(6_001, Event::Released(own()));
    assert_eq!(c.election.view().holder, None);
}

#[test]
fn a_renewal_is_overdue_half_a_retry_period_after_it_was_due() {
    let c = Candidate::leading();
    let Role::Leader(claim) = c.election.view().role else {
        panic!("does not lead");
    };
    assert_eq!(claim.overdue_from, at(3_000));
}

#[test]
fn delays_before_rejoining_grow_and_stay_short() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick);
    let mut now = 0;
    for round in 0..12 {
        let Some(Action::Join(lease)) = c.actions.pop() else {
            panic!("does not join in round {round}");
        };
        let failed = Event::JoinFailed {
            lease,
            gone_by: at(now),
        };
        c.on(now, failed);
        c.on(now, Event::Released(lease));
        let wait = c.election.next_timeout().unwrap().since(at(now));
        assert!(wait <= ms(500), "{wait:?} in round {round}");
        assert!(round < 8 || wait >= ms(300), "{wait:?} in round {round}");
        now += 1_000;
        c.on(now, Event::Tick);
    }
}

#[test]
fn budgets_that_do_not_fit_are_refused_with_the_numbers_and_the_remedy() {
    let table = [
        ((10_000, 9_500, 2_000), None),
        ((10_000, 9_501, 2_000), Some("at most 9.5s")),
        ((10_000, 6_000, 6_000), Some("less than renew_deadline")),
        ((10_000, 6_000, 9), Some("at least 10ms")),
        ((86_400_001, 6_000, 2_000), Some("longer than a day")),
    ];
    for ((ttl, deadline, retry), expected) in table {
        let result = Timing::new(ms(ttl), ms(deadline), ms(retry));
        match expected {
            None => assert!(result.is_ok(), "{result:?}"),
            Some(remedy) => {
                let message = result.unwrap_err().to_string();
                assert!(message.contains(remedy), "{message}");
            }
        }
    }
}

#[test]
fn a_leader_that_cannot_see_its_place_leads_no_longer_than_one_that_cannot_renew() {
    let mut c = Candidate::leading();
    c.on(1_000, Event::Blind).on(2_000, Event::Blind);
    for sent_at in [2_000, 4_000, 6_000] {
        c.on(sent_at + 1, kept_alive(sent_at));
    }
    // Also where nobody has told it the time.
    assert!(c.leads(6_999) && !c.leads(7_000));
    c.actions.clear();
    c.on(7_000, Event::Tick).wants(&[Action::Release(own())]);
}

#[test]
fn a_leader_that_sees_its_place_again_leads_on() {
    let mut c = Candidate::leading();
    c.on(1_000, Event::Blind)
        .on(1_500, sight(9, Some((own(), 7)), true));
    for sent_at in [2_000, 4_000, 6_000] {
        c.on(sent_at + 1, kept_alive(sent_at));
    }
    assert!(c.leads(11_999));
}

fn registered() -> Candidate {
    Candidate::leading_by(Policy {
        deregistration: ms(2_000),
        ..Policy::default()
    })
}

#[test]
fn nothing_is_released_before_traffic_is_directed_elsewhere() {
    let mut c = registered();
    c.on(100, Event::Shutdown).wants(&[Action::CollectPromises]);
    c.on(100, Event::Promised(Time::ORIGIN)).wants(&[]);
    assert_eq!(c.role(), RoleName::SteppingDown);
    assert_eq!(c.election.release_at(at(100)), Some(at(2_100)));
    c.on(200, Event::Deregistered(6)).wants(&[]);
    c.on(300, Event::Deregistered(7))
        .wants(&[Action::Release(own())]);
}

#[test]
fn traffic_that_can_not_be_directed_elsewhere_in_time_holds_no_release() {
    let mut c = registered();
    c.on(100, Event::Shutdown);
    c.on(100, Event::Promised(Time::ORIGIN));
    c.on(101, kept_alive(101)).wants(&[Action::CollectPromises]);
    c.on(2_099, Event::Tick);
    assert!(!c.actions.contains(&Action::Release(own())));
    c.actions.clear();
    assert_eq!(c.election.next_timeout(), Some(at(2_100)));
    c.on(2_100, Event::Tick).wants(&[Action::Release(own())]);
}

#[test]
fn promises_are_kept_though_traffic_is_directed_elsewhere() {
    let mut c = registered();
    c.on(100, Event::Shutdown);
    c.on(100, Event::Promised(at(3_000)));
    c.on(200, Event::Deregistered(7));
    c.on(3_499, kept_alive(3_000)).actions.clear();
    c.on(3_500, Event::Tick).wants(&[Action::Release(own())]);
}

/// A kubelet's SIGTERM comes once the application is gone, and so often before the label is.
#[test]
fn an_application_that_has_stopped_is_taken_at_its_word_by_a_shutdown_that_comes_later() {
    for policy in [ShutdownWait::Promise, ShutdownWait::For(ms(3_000))] {
        let mut c = Candidate::leading_by(Policy {
            deregistration: ms(2_000),
            shutdown_wait: policy,
            ..Policy::default()
        });
        c.on(100, Event::Resign { cooldown: ms(0) });
        c.on(100, Event::Promised(at(6_000)));
        c.on(101, Event::ApplicationSaysItStopped)
            .wants(&[Action::CollectPromises]);
        c.on(150, Event::Shutdown).wants(&[]);
        c.on(200, Event::Deregistered(7))
            .wants(&[Action::Release(own())]);
        c.on(201, Event::Released(own()));
        assert!(c.election.is_stopped());
    }
}

#[test]
fn what_is_lost_is_released_at_once_wherever_traffic_is_directed() {
    let mut c = registered();
    c.on(100, Event::LeaseGone(own()))
        .wants(&[Action::Release(own())]);
    let mut c = registered();
    c.on(100, Event::Shutdown).actions.clear();
    c.on(200, Event::LeaseGone(own()))
        .wants(&[Action::Release(own())]);
}
