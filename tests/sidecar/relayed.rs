//! A leader behind a relay that goes silent, loses answers or closes connections.

use crate::support::etcd::Etcd;
use crate::support::relay::{Mode, Relay};
use crate::support::sidecar::{
    PREFIX, RENEW_DEADLINE, ROLE_BOUND, Sidecar, Spec, TTL, queue_up, wait_for_places,
};
use crate::support::witness::{History, Witnesses};
use crate::support::{eventually, let_pass, ms};
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

#[test]
fn a_leader_whose_connection_goes_silent_stops_by_its_own_clock_before_the_next_one_leads() {
    let (etcd, relay, a, b) = relayed(|spec| spec);
    let witnesses = Witnesses::of(&[&a, &b]);

    relay.set(Mode::Silent);
    let silent_from = clock::now();
    b.wait_leading(ROLE_BOUND);
    assert_eq!(
        a.metric("tenure_step_downs_total", &["reason=\"deadline\""]),
        1.0
    );
    assert_eq!(
        a.status_of("/readyz"),
        Some(200),
        "an outage doesn't take readiness away"
    );
    let status = a.probe("/status").json();
    assert_eq!(status["store"]["connected"], false, "{status}");
    relay.set(Mode::Pass);
    rejoined(&etcd, &a);

    let history = witnesses.judged();
    stopped_in_time(&history, silent_from);
    succeeded_within(&history, silent_from, TTL + ms(1_000));
    history.assert_always_alive();
}

#[test]
fn a_leader_whose_answers_are_lost_revokes_its_lease_so_that_the_next_one_leads_soon() {
    // Had the requests that still arrive renewed the lease to the end, the next one would wait for long.
    let (etcd, relay, a, b) = relayed(|spec| spec.lease(ms(20_000), RENEW_DEADLINE, ms(500)));
    let witnesses = Witnesses::of(&[&a, &b]);

    relay.set(Mode::AnswersLost);
    let lost_from = clock::now();
    b.wait_leading(ROLE_BOUND);
    // Now all the late answers come in a burst. They revive nothing.
    relay.set(Mode::Pass);
    rejoined(&etcd, &a);

    let history = witnesses.judged();
    stopped_in_time(&history, lost_from);
    succeeded_within(&history, lost_from, RENEW_DEADLINE + ms(1_500));
    history.assert_always_alive();
}

#[test]
fn answers_that_come_in_bursts_never_make_two_leaders() {
    let (etcd, relay, a, b) = relayed(|spec| spec);
    let witnesses = Witnesses::of(&[&a, &b]);
    for withheld in [700, 1_500, 1_900, 2_300, 3_300] {
        relay.set(Mode::AnswersLost);
        let_pass(ms(withheld));
        relay.set(Mode::Pass);
        let_pass(ms(300));
    }
    relay.set(Mode::Delay(ms(400)));
    let_pass(RENEW_DEADLINE);
    relay.set(Mode::Pass);
    eventually("one leads in the end", ROLE_BOUND, || {
        (a.leads() || b.leads()).then_some(())
    });
    wait_for_places(&etcd, 2);
    let history = witnesses.judged();
    history.assert_always_alive();
}

#[test]
fn validity_counts_from_the_sending_of_a_keepalive_not_from_its_answer() {
    stops_by_what_was_sent(ms(700));
}

#[test]
fn an_answer_that_comes_after_its_bound_is_not_taken_for_that_of_a_newer_keepalive() {
    stops_by_what_was_sent(ms(1_300));
}

/// Every answer takes so long, and then none comes any more: what was answered had been sent before that.
#[track_caller]
fn stops_by_what_was_sent(delay: Duration) {
    const DEADLINE: Duration = ms(5_000);
    let (_etcd, relay, a, b) = relayed(|spec| spec.lease(ms(8_000), DEADLINE, ms(1_000)));
    let witnesses = Witnesses::of(&[&a, &b]);
    relay.set(Mode::Delay(delay));
    let_pass(ms(3_500));
    relay.set(Mode::Silent);
    let silent_from = clock::now();
    eventually("a stops", DEADLINE + ms(1_000), || {
        (!a.leads()).then_some(())
    });
    let history = witnesses.judged();
    let claimed_for = history.leaderships()[0].last.asked_at.since(silent_from);
    assert!(
        claimed_for < DEADLINE - delay,
        "a claimed for {claimed_for:?}"
    );
}

#[test]
fn connections_that_break_for_less_than_the_deadline_cost_no_leadership() {
    let (etcd, relay, a, b) = relayed(|spec| spec.lease(ms(10_000), ms(7_000), ms(500)));
    let witnesses = Witnesses::of(&[&a, &b]);
    let token = a.wait_leading(ROLE_BOUND);
    for _ in 0..3 {
        relay.set(Mode::Refuse);
        let_pass(ms(1_200));
        relay.set(Mode::Pass);
        let_pass(ms(1_500));
    }
    assert_eq!(a.wait_leading(ROLE_BOUND), token);
    assert_eq!(etcd.ctl().places(PREFIX)[0].create_revision, token);
    // The watch on its own key works again, too.
    let key = etcd.ctl().places(PREFIX).remove(0).key;
    etcd.ctl().run(&["del", &key]);
    b.wait_leading(ms(2_000));
    assert_eq!(witnesses.judged().succession(), ["a", "b"]);
}

#[test]
fn a_renewal_that_is_overdue_is_a_risk_that_shows_before_the_leader_stops() {
    let (_etcd, relay, a, _b) = relayed(|spec| spec);
    eventually("no risk while all is well", ROLE_BOUND, || {
        (a.probe_leader()?["at_risk"] == false).then_some(())
    });
    relay.set(Mode::Silent);
    eventually("a leader at risk", RENEW_DEADLINE, || {
        let election = a.probe_leader()?;
        (election["at_risk"] == true && election["is_leader"] == true).then_some(())
    });
    eventually("no leader, no risk", RENEW_DEADLINE, || {
        let election = a.probe_leader()?;
        (election["at_risk"] == false && election["is_leader"] == false).then_some(())
    });
}

#[test]
fn a_waiter_behind_a_silent_connection_is_passed_over_and_joins_again() {
    let etcd = Etcd::started();
    let relay = Relay::to(etcd.port());
    let mut a = queue_up(&Spec::on_etcd("a", &etcd), &etcd);
    let b = queue_up(&Spec::on_endpoints("b", &[relay.endpoint()]), &etcd);
    let c = queue_up(&Spec::on_etcd("c", &etcd), &etcd);
    let witnesses = Witnesses::of(&[&a, &b, &c]);
    relay.set(Mode::Silent);
    let silent_from = clock::now();
    a.end_well();
    c.wait_leading(ROLE_BOUND);
    relay.set(Mode::Pass);
    rejoined(&etcd, &b);
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "c"]);
    let took = history.leaderships()[1]
        .first
        .answered_at
        .since(silent_from);
    assert!(took < TTL + ms(1_500), "c took {took:?}");
}

/// `a` leads behind a relay, `b` is queued with no relay between.
#[track_caller]
fn relayed(adjust: impl Fn(Spec) -> Spec) -> (Etcd, Relay, Sidecar, Sidecar) {
    let etcd = Etcd::started();
    let relay = Relay::to(etcd.port());
    let a = queue_up(&adjust(Spec::on_endpoints("a", &[relay.endpoint()])), &etcd);
    let b = queue_up(&adjust(Spec::on_etcd("b", &etcd)), &etcd);
    (etcd, relay, a, b)
}

#[track_caller]
fn rejoined(etcd: &Etcd, sidecar: &Sidecar) {
    sidecar.wait_state("follower", ROLE_BOUND);
    wait_for_places(etcd, 2);
}

/// The last answered keepalive was sent before `cut`, so nothing is claimed a deadline later.
#[track_caller]
fn stopped_in_time(history: &History, cut: Time) {
    assert_eq!(history.succession(), ["a", "b"]);
    let last = &history.leaderships()[0].last;
    let claimed_for = last.asked_at.since(cut);
    assert!(
        claimed_for < RENEW_DEADLINE,
        "a claimed for {claimed_for:?}"
    );
}

#[track_caller]
fn succeeded_within(history: &History, cut: Time, bound: Duration) {
    let took = history.leaderships()[1].first.answered_at.since(cut);
    assert!(took < bound, "b took {took:?}");
}

#[test]
fn a_lease_whose_grant_was_not_answered_is_revoked_before_the_sidecar_leaves() {
    let etcd = Etcd::started();
    let relay = Relay::to(etcd.port());
    let mut a = Spec::on_endpoints("a", &[relay.endpoint()])
        .lease(ms(15_000), ms(10_000), ms(1_000))
        .start_leading();
    a.post("/pause");
    wait_for_places(&etcd, 0);
    relay.set(Mode::AnswersLost);
    a.post("/resume");
    let leases = || etcd.ctl().lease_count();
    eventually("a lease", ROLE_BOUND, || (leases() == 1).then_some(()));
    eventually("no answer in time", ROLE_BOUND, || {
        (a.metric("tenure_store_connected", &[]) == 0.0).then_some(())
    });
    a.term();
    let_pass(ms(500));
    assert!(a.is_running(), "{}", a.log());
    relay.set(Mode::Pass);
    a.wait_exit(ms(8_000));
    assert_eq!(leases(), 0);
}
