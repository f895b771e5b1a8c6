//! For how long a leader leads: it counts from sending, and is compared with the clock at the moment of use.

use super::*;

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
