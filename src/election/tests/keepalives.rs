//! When keepalives go out.

use super::*;

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
fn a_renewal_is_overdue_half_a_retry_period_after_it_was_due() {
    let c = Candidate::leading();
    let Role::Leader(claim) = c.election.view().role else {
        panic!("does not lead");
    };
    assert_eq!(claim.overdue_from, at(3_000));
}
