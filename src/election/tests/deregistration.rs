//! A leader that traffic is directed to: it is directed elsewhere before the release, in a bounded time.

use super::*;

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
