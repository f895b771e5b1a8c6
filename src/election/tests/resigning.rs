//! A leader that resigns: it keeps its promises, releases, and stays out for a while.

use super::*;

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
fn only_a_leader_resigns() {
    let mut c = Candidate::waiting_behind_other();
    c.on(100, Event::Resign { cooldown: ms(0) }).wants(&[]);
    assert_eq!(c.role(), RoleName::Follower);
}
