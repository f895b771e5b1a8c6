//! Shutting down: what is waited for, and that nothing is left behind.

use super::*;

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
fn a_deadline_that_passes_while_stepping_down_ends_it() {
    let mut c = Candidate::leading_with(ShutdownWait::For(ms(60_000)));
    c.on(100, Event::Shutdown);
    c.on(100, Event::Promised(at(6_000)));
    c.on(6_000, Event::Tick)
        .wants(&[Action::CollectPromises, Action::Release(own())]);
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
fn whoever_stops_without_having_released_names_no_leader() {
    let mut c = Candidate::leading();
    c.on(100, Event::Shutdown);
    c.on(100, Event::Promised(at(0)));
    c.on(10_001, Event::Tick);
    assert!(c.election.is_stopped());
    assert_eq!(c.election.view().holder, None);

    let mut c = Candidate::waiting_behind_other();
    c.on(100, Event::Shutdown);
    c.on(10_000, Event::Tick);
    assert!(c.election.is_stopped());
    assert!(c.election.view().holder.is_some());
}
