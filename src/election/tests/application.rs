//! What is done for an application: it is stopped before another may lead, and its state decides who campaigns.

use super::*;

/// How long the application may take to stop.
const STOPPING: u64 = 3_000;

fn by(application: Application) -> Candidate {
    Candidate::leading_by(Policy {
        application,
        ..Policy::default()
    })
}

fn supervised() -> Candidate {
    by(Application::Supervised(ms(STOPPING)))
}

fn told() -> Candidate {
    by(Application::Told(ms(STOPPING)))
}

const TOKEN: Token = 7;

const STOP: Action = Action::StopApplication {
    token: TOKEN,
    at_once: false,
};
const KILL: Action = Action::StopApplication {
    token: TOKEN,
    at_once: true,
};

fn stopped(token: Token) -> Event {
    Event::ApplicationStopped {
        token,
        in_order: true,
    }
}

fn ended(token: Token, leave: bool) -> Event {
    Event::ApplicationEnded {
        token,
        leave,
        in_order: true,
    }
}

/// Another's place is the first, or is behind the own one.
fn crowded(first: LeaseId, token: Token) -> Event {
    match sight(9, Some((first, token)), true) {
        Event::Observed(observation) => Event::Observed(Observation {
            contested: true,
            ..observation
        }),
        event => event,
    }
}

#[test]
fn an_application_starts_when_its_candidate_leads_and_may_run_as_long_as_the_lease_says() {
    let mut c = Candidate::new(Policy {
        application: Application::Supervised(ms(STOPPING)),
        ..Policy::default()
    });
    c.on(0, Event::Tick).on(1, Event::Joined(lease(0)));
    c.on(2, sight(7, Some((own(), 7)), true));
    c.actions.clear();
    let deadline = Deadline {
        stop_at: at(6_000),
        kill_at: at(9_500),
    };
    c.on(3, Event::Verified(own(), Standing::First(7)))
        .wants(&[Action::RunApplication(7, deadline)]);
    let later = Deadline {
        stop_at: at(8_000),
        kill_at: at(11_500),
    };
    c.on(2_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(2_010, kept_alive(2_000))
        .wants(&[Action::ExtendApplication(later)]);
}

#[test]
fn at_the_deadline_the_application_is_stopped_and_nothing_released_before_it_is_gone() {
    let mut c = supervised();
    c.on(6_000, Event::Tick);
    assert_eq!(c.role(), RoleName::SteppingDown);
    c.wants(&[STOP, Action::KeepAlive(own())]);
    // Not even when the lease has run out long ago, or somebody says that it has stopped.
    c.on(6_100, Event::ApplicationSaysItStopped)
        .on(60_000, Event::Tick)
        .wants(&[]);
    c.on(60_001, stopped(TOKEN))
        .wants(&[Action::Release(own())]);
}

#[test]
fn renewal_goes_on_while_the_application_stops() {
    let mut c = supervised();
    c.on(1_000, Event::Resign { cooldown: ms(0) })
        .wants(&[Action::CollectPromises, STOP]);
    c.on(1_000, Event::Promised(Time::ORIGIN));
    c.on(2_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(2_001, kept_alive(2_000));
    assert!(matches!(c.actions[..], [Action::ExtendApplication(_)]));
    assert_eq!(c.election.release_at(at(2_001)), Some(at(4_000)));
    assert!(!c.leads(2_001));
}

#[test]
fn a_gone_place_leaves_no_time_to_stop_in() {
    for event in [Event::LeaseGone(own()), sight(8, None, false)] {
        let mut c = supervised();
        c.on(100, event).wants(&[KILL]);
        assert_eq!(c.role(), RoleName::SteppingDown);
        // There is nothing to renew any more.
        c.on(5_000, Event::Tick).wants(&[]);
        c.on(5_001, stopped(TOKEN)).wants(&[Action::Release(own())]);
    }
}

#[test]
fn a_place_out_of_sight_leaves_no_time_to_stop_in_either() {
    let mut c = supervised();
    c.on(100, Event::OutOfSight(own()))
        .wants(&[Action::CollectPromises, KILL]);
    c.on(100, Event::Promised(at(1_000)));
    // Seen to have stopped, it relies on no promise.
    c.on(101, stopped(TOKEN)).wants(&[Action::Release(own())]);
}

#[test]
fn a_place_that_goes_while_the_application_stops_ends_its_time() {
    let mut c = supervised();
    c.on(100, Event::Shutdown)
        .on(100, Event::Promised(Time::ORIGIN));
    c.actions.clear();
    c.on(200, Event::LeaseGone(own())).wants(&[KILL]);
    c.on(201, sight(8, None, false)).wants(&[]);
    c.on(202, stopped(TOKEN)).wants(&[Action::Release(own())]);
}

#[test]
fn an_application_that_ends_by_itself_lets_another_lead_at_once() {
    for leave in [true, false] {
        let mut c = supervised();
        c.on(100, ended(TOKEN, leave))
            .wants(&[Action::Release(own())]);
        c.on(101, Event::Released(own()));
        assert_eq!(c.election.is_stopped(), leave);
        // A program that ends at once does not make candidates lead in circles without a pause.
        c.on(2_100, Event::Tick).wants(&[]);
        let joins = [Action::Join(own())];
        c.on(2_101, Event::Tick)
            .wants(if leave { &[] } else { &joins[..] });
    }
}

#[test]
fn an_application_that_was_lost_is_none_to_lead_for() {
    let mut c = supervised();
    c.on(100, stopped(TOKEN)).wants(&[Action::Release(own())]);
    assert!(!c.leads(100));
}

#[test]
fn news_of_an_application_of_another_leadership_mean_nothing() {
    let (token, leave) = (TOKEN - 1, false);
    let mut c = supervised();
    c.on(100, stopped(token));
    c.on(100, ended(token, leave));
    assert!(c.leads(100));
    c.on(200, Event::Resign { cooldown: ms(0) })
        .on(200, Event::Promised(Time::ORIGIN));
    c.actions.clear();
    c.on(300, stopped(token));
    c.on(300, Event::ApplicationNotStopped(token)).wants(&[]);
    assert!(c.election.next_timeout().is_some());
}

#[test]
fn an_application_that_is_about_to_end_ends_leadership_at_once_and_its_end_the_lease() {
    let mut c = supervised();
    c.on(100, Event::ApplicationEnding(TOKEN))
        .wants(&[Action::CollectPromises, STOP]);
    assert!(!c.leads(100));
    c.on(100, Event::Promised(at(5_000)));
    c.on(200, ended(TOKEN, false))
        .wants(&[Action::Release(own())]);
    c.on(201, Event::Released(own()));
    // And not in circles without a pause.
    c.on(2_200, Event::Tick).wants(&[]);
}

#[test]
fn for_one_that_can_t_be_killed_no_lease_is_kept_for_ever_and_none_is_taken_beside_it() {
    let mut c = supervised();
    c.on(100, Event::Resign { cooldown: ms(0) })
        .on(100, Event::Promised(Time::ORIGIN));
    c.actions.clear();
    // Its time to stop, and a little more.
    let overdue = 100 + STOPPING + 2_000;
    c.on(2_000, Event::Tick).on(2_001, kept_alive(2_000));
    c.on(4_000, Event::Tick).on(4_001, kept_alive(4_000));
    c.actions.clear();
    c.on(overdue, Event::Tick).wants(&[]);
    assert_eq!(c.election.next_timeout(), None);
    c.on(100_000, Event::Tick).wants(&[]);
    c.on(100_001, stopped(TOKEN))
        .wants(&[Action::Release(own())]);
}

#[test]
fn one_that_can_t_be_killed_keeps_nobody_from_leaving_once_the_lease_has_run_out() {
    let mut c = supervised();
    c.on(100, Event::Shutdown)
        .on(100, Event::Promised(Time::ORIGIN));
    c.on(5_100, Event::Tick).on(9_999, Event::Tick);
    assert!(!c.election.is_stopped());
    assert_eq!(c.election.next_timeout(), Some(at(10_000)));
    c.actions.clear();
    c.on(10_000, Event::Tick).wants(&[]);
    assert!(c.election.is_stopped());
}

#[test]
fn an_application_that_is_gone_is_not_waited_for_and_its_promises_are_kept() {
    let gone = [Event::ApplicationGone, Event::Resign { cooldown: ms(0) }];
    for gone in gone {
        let mut c = Candidate::leading_with(ShutdownWait::Application(ms(8_000)));
        c.on(100, Event::Shutdown)
            .on(100, Event::Promised(at(3_000)));
        c.on(1_000, gone);
        c.actions.clear();
        // A promise is read a little later than it is given.
        c.on(3_499, Event::Tick).wants(&[Action::KeepAlive(own())]);
        c.on(3_500, Event::Tick).wants(&[Action::Release(own())]);
    }
}

#[test]
fn that_an_application_seems_gone_does_not_stand_in_for_its_answer() {
    let mut c = Candidate::leading_by(Policy {
        application: Application::Told(ms(STOPPING)),
        shutdown_wait: ShutdownWait::Application(ms(5_000)),
        ..Policy::default()
    });
    c.on(100, Event::Shutdown)
        .on(100, Event::Promised(Time::ORIGIN))
        .on(200, Event::ApplicationGone);
    c.actions.clear();
    c.on(300, Event::Tick).wants(&[]);
    c.on(400, stopped(TOKEN)).wants(&[Action::Release(own())]);
}

#[test]
fn to_be_seen_to_be_gone_means_nothing_but_on_shutdown() {
    let mut c = Candidate::leading();
    c.on(100, Event::ApplicationGone).wants(&[]);
    assert!(c.leads(100));
}

#[test]
fn a_shutdown_waits_as_configured_also_where_a_resignation_was_under_way() {
    let mut c = Candidate::leading_with(ShutdownWait::For(ms(3_000)));
    c.on(100, Event::Resign { cooldown: ms(0) })
        .on(100, Event::Promised(at(1_000)));
    c.actions.clear();
    c.on(200, Event::Shutdown).wants(&[Action::CollectPromises]);
    c.on(200, Event::Promised(at(1_000)));
    c.on(1_500, Event::Tick).wants(&[]);
    assert_eq!(c.election.release_at(at(1_500)), Some(at(3_200)));
}

#[test]
fn what_was_killed_was_not_handed_over_in_order() {
    let policy = Policy {
        application: Application::Supervised(ms(STOPPING)),
        takeover_delay: ms(1_500),
        ..Policy::default()
    };
    for in_order in [true, false] {
        let mut c = Candidate::leading_by(policy);
        c.on(100, Event::Resign { cooldown: ms(0) })
            .on(100, Event::Promised(Time::ORIGIN));
        c.actions.clear();
        let event = Event::ApplicationStopped {
            token: TOKEN,
            in_order,
        };
        c.on(200, event).wants(&[match in_order {
            true => Action::HandOver(own()),
            false => Action::Release(own()),
        }]);
    }
}

#[test]
fn to_resign_while_it_is_waited_for_ends_the_waiting() {
    let mut c = Candidate::leading_with(ShutdownWait::Application(ms(5_000)));
    c.on(100, Event::Shutdown)
        .on(100, Event::Promised(Time::ORIGIN));
    c.actions.clear();
    c.on(200, Event::Resign { cooldown: ms(0) })
        .wants(&[Action::Release(own())]);
}

#[test]
fn one_that_was_told_to_stop_and_has_is_waited_for_no_longer() {
    let mut c = told();
    c.on(1_000, Event::Shutdown)
        .wants(&[Action::CollectPromises, STOP]);
    c.on(1_000, Event::Promised(at(5_000)));
    c.on(1_500, stopped(TOKEN)).wants(&[Action::Release(own())]);
}

#[test]
fn without_a_promise_it_is_still_waited_for() {
    let mut c = told();
    c.on(1_000, Event::Shutdown)
        .on(1_000, Event::Promised(Time::ORIGIN));
    c.actions.clear();
    c.on(1_900, Event::Tick).wants(&[]);
    c.on(1_901, stopped(TOKEN)).wants(&[Action::Release(own())]);
}

#[test]
fn where_it_does_not_stop_the_lease_runs_out_unrenewed() {
    let mut c = told();
    c.on(1_000, Event::Shutdown)
        .on(1_000, Event::Promised(Time::ORIGIN))
        .on(1_500, Event::ApplicationNotStopped(TOKEN));
    c.actions.clear();
    assert_eq!(c.election.release_at(at(1_500)), Some(at(10_000)));
    c.on(9_999, Event::Tick).wants(&[]);
    assert_eq!(c.role(), RoleName::SteppingDown);
    // What may have been lengthened is cleared away.
    c.on(10_000, Event::Tick).wants(&[Action::Release(own())]);
}

#[test]
fn a_leader_that_could_not_renew_tells_its_application_and_waits_no_longer_than_the_lease() {
    let mut c = told();
    c.on(6_000, Event::Tick)
        .wants(&[STOP, Action::KeepAlive(own())]);
    assert_eq!(c.role(), RoleName::SteppingDown);
    c.on(10_000, Event::Tick).wants(&[Action::Release(own())]);
}

#[test]
fn on_shutdown_an_application_is_waited_for_and_at_most_for_so_long() {
    let wait = ShutdownWait::Application(ms(5_000));
    let mut c = Candidate::leading_with(wait);
    c.on(1_000, Event::Shutdown)
        .on(1_000, Event::Promised(Time::ORIGIN));
    c.actions.clear();
    c.on(3_000, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(3_001, kept_alive(3_000));
    c.on(5_999, Event::Tick).wants(&[Action::KeepAlive(own())]);
    c.on(6_000, Event::Tick).wants(&[Action::Release(own())]);
    let mut c = Candidate::leading_with(wait);
    c.on(1_000, Event::Shutdown)
        .on(1_000, Event::Promised(at(4_000)));
    c.actions.clear();
    c.on(1_200, Event::ApplicationSaysItStopped)
        .wants(&[Action::Release(own())]);
}

#[test]
fn whoever_is_paused_steps_down_in_order_and_stays_out_until_resumed() {
    let mut c = Candidate::leading();
    c.on(100, Event::Hold(Hold::Paused))
        .on(100, Event::Promised(Time::ORIGIN))
        .wants(&[Action::CollectPromises, Action::Release(own())]);
    c.on(101, Event::Released(own()));
    assert_eq!(c.election.next_timeout(), None);
    assert_eq!(c.election.view().held_back, Some(Hold::Paused));
    c.on(600_000, Event::Tick).wants(&[]);
    c.on(600_001, Event::Lift(Hold::Paused))
        .wants(&[Action::Join(own())]);
}

#[test]
fn a_paused_follower_leaves_the_queue_and_one_that_is_joining_never_enters_it() {
    let mut c = Candidate::waiting_behind_other();
    c.on(100, Event::Hold(Hold::Paused))
        .wants(&[Action::Release(own())]);
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Tick).on(1, Event::Hold(Hold::Paused));
    c.actions.clear();
    c.on(2, Event::Joined(lease(0)))
        .wants(&[Action::Release(own())]);
}

#[test]
fn whoever_was_paused_can_still_shut_down() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Hold(Hold::Paused)).wants(&[]);
    c.on(1, Event::Shutdown);
    assert!(c.election.is_stopped());
}

#[test]
fn an_unhealthy_leader_stays_while_nobody_else_is_queued_and_no_longer() {
    let mut c = Candidate::leading();
    c.on(100, Event::Hold(Hold::Unhealthy)).wants(&[]);
    assert!(c.leads(100));
    c.on(200, crowded(own(), 7))
        .wants(&[Action::CollectPromises]);
    assert!(!c.leads(200));
}

#[test]
fn an_unhealthy_leader_goes_at_once_where_another_is_queued_or_where_it_is_told_to() {
    let mut c = Candidate::leading();
    c.on(50, crowded(own(), 7));
    c.on(100, Event::Hold(Hold::Unhealthy))
        .wants(&[Action::CollectPromises]);
    let mut c = Candidate::leading_by(Policy {
        keep_when_alone: false,
        ..Policy::default()
    });
    c.on(100, Event::Hold(Hold::Unhealthy))
        .wants(&[Action::CollectPromises]);
}

#[test]
fn who_is_paused_and_unhealthy_waits_for_both_to_end() {
    let mut c = Candidate::new(Policy::default());
    c.on(0, Event::Hold(Hold::Unhealthy))
        .on(0, Event::Hold(Hold::Paused))
        .on(1, Event::Lift(Hold::Paused))
        .wants(&[]);
    assert_eq!(c.election.view().held_back, Some(Hold::Unhealthy));
    c.on(2, Event::Lift(Hold::Unhealthy))
        .wants(&[Action::Join(own())]);
}

fn delayed(handed_over: bool) -> Candidate {
    let mut c = Candidate::new(Policy {
        takeover_delay: ms(1_500),
        ..Policy::default()
    });
    c.on(0, Event::Tick).on(1, Event::Joined(lease(0)));
    c.actions.clear();
    let Event::Observed(observation) = sight(7, Some((own(), 7)), true) else {
        panic!("no sight");
    };
    c.on(
        100,
        Event::Observed(Observation {
            handed_over,
            ..observation
        }),
    );
    c
}

#[test]
fn what_was_handed_over_in_order_is_taken_at_once_and_all_else_after_the_delay() {
    delayed(true).wants(&[Action::Verify(own())]);
    let mut c = delayed(false);
    c.on(1_599, Event::Tick).wants(&[]);
    c.on(1_600, Event::Tick).wants(&[Action::Verify(own())]);
}

#[test]
fn those_who_wait_for_an_orderly_end_are_told_of_one_and_of_nothing_else() {
    let policy = Policy {
        takeover_delay: ms(1_500),
        ..Policy::default()
    };
    let mut c = Candidate::leading_by(policy);
    c.on(100, Event::Shutdown)
        .on(100, Event::Promised(Time::ORIGIN))
        .wants(&[Action::CollectPromises, Action::HandOver(own())]);
    let mut c = Candidate::leading_by(policy);
    c.on(6_000, Event::Tick).wants(&[Action::Release(own())]);
}

#[test]
fn a_command_that_ended_by_itself_is_followed_by_a_release_once_traffic_is_directed_elsewhere() {
    let mut c = Candidate::leading_by(Policy {
        application: Application::Supervised(ms(STOPPING)),
        deregistration: ms(2_000),
        ..Policy::default()
    });
    c.on(100, ended(TOKEN, true)).wants(&[]);
    assert_eq!(c.role(), RoleName::SteppingDown);
    assert_eq!(c.election.release_at(at(100)), Some(at(2_100)));
    c.on(150, Event::Deregistered(TOKEN))
        .wants(&[Action::Release(own())]);
}
