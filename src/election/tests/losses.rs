//! How leadership is lost, and what is not a loss.

use super::*;

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
fn answers_about_another_lease_change_nothing() {
    let mut c = Candidate::leading();
    c.on(100, Event::LeaseGone(OTHER));
    c.on(101, Event::Released(OTHER));
    c.on(102, Event::KeepAliveFailed(OTHER)).wants(&[]);
    assert!(c.leads(102));
}

#[test]
fn whose_place_is_out_of_sight_leads_no_more_and_keeps_its_promises() {
    let mut c = Candidate::leading();
    c.on(100, Event::OutOfSight(own()));
    c.reported(RoleName::Leader, RoleName::SteppingDown, Reason::KeyGone);
    c.on(100, Event::Promised(at(1_000)))
        .wants(&[Action::CollectPromises]);
    c.on(1_499, Event::Tick).wants(&[]);
    c.on(1_500, Event::Tick).wants(&[Action::Release(own())]);

    let mut c = Candidate::waiting_behind_other();
    c.on(100, Event::OutOfSight(own())).wants(&[]);
    assert_eq!(c.role(), RoleName::Follower);
}
