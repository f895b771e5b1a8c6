//! How a candidate comes by a place: what it asks for, what it takes for an answer, and when it tries again.

use super::*;

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
