//! Whom a candidate follows, and how it takes over.

use super::*;

#[test]
fn a_waiter_follows_and_wants_nothing_but_keepalives() {
    let mut c = Candidate::waiting_behind_other();
    assert_eq!(c.role(), RoleName::Follower);
    assert_eq!(c.election.view().holder, Some(holder(OTHER, 5)));
    c.on(2_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
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
