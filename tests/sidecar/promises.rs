//! A promise given is a promise kept: what was read on `api` holds for as long as it said.

use crate::support::etcd::Etcd;
use crate::support::http::Events;
use crate::support::process::EXIT_BOUND;
use crate::support::sidecar::{
    PREFIX, RENEW_DEADLINE, ROLE_BOUND, Sidecar, Spec, TTL, queue_up, wait_for_places,
};
use crate::support::witness::{History, Leadership, Witnesses};
use crate::support::{eventually, ms};
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

/// "Not leader at once", on a busy machine.
const AT_ONCE: Duration = ms(500);

/// An immediate hand-over, on a busy machine. Far less than what is left of a promise.
const IMMEDIATE: Duration = ms(1_000);

#[test]
fn a_promise_read_before_sigterm_is_kept_and_then_the_next_one_leads() {
    let (_etcd, mut a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    let promised_until = read_promise(&a);
    let asked = clock::now();
    a.term();
    stepping_down_on_both(&a);
    b.wait_leading(ROLE_BOUND);
    assert_eq!(a.wait_exit(EXIT_BOUND).code(), Some(0));

    let history = witnesses.judged();
    stopped_at_once(&history, asked);
    led_after(&history, promised_until, ms(1_000));
}

#[test]
fn a_promise_read_before_resigning_is_kept_and_then_the_next_one_leads() {
    let (_etcd, a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    let promised_until = read_promise(&a);
    let asked = clock::now();
    assert_eq!(a.post("/resign").status, 202);
    stepping_down_on_both(&a);
    b.wait_leading(ROLE_BOUND);
    a.wait_state("follower", ROLE_BOUND);

    let history = witnesses.judged();
    stopped_at_once(&history, asked);
    led_after(&history, promised_until, ms(1_000));
}

#[test]
fn what_status_says_is_a_promise_as_well() {
    let (_etcd, mut a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    let promised_until = eventually("a long promise", ROLE_BOUND, || {
        let asked = clock::now();
        let election = a.ask("/status").json()["elections"][0].take();
        long_enough(asked, election["valid_for_ms"].as_u64()?)
    });
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    led_after(&witnesses.judged(), promised_until, ms(1_000));
}

#[test]
fn what_an_event_says_is_a_promise_as_well() {
    let (_etcd, mut a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    let mut events = Events::subscribe(a.api, "/events", ROLE_BOUND).unwrap();
    let (name, election) = events.next_event().unwrap();
    assert_eq!(
        (name.as_str(), &election["state"]),
        ("state", &"leader".into())
    );
    // Counted from before it can have been sent: the last renewal comes a retry_period after this.
    let before = clock::now();
    let (name, election) = events.next_event().unwrap();
    assert_eq!(name, "renewed");
    let promised_until = before + ms(election["valid_for_ms"].as_u64().unwrap());
    let asked = clock::now();
    a.term();
    let (name, election) = loop {
        let (name, election) = events.next_event().unwrap();
        if name == "state" {
            break (name, election);
        }
    };
    assert_eq!(
        (name.as_str(), &election["state"]),
        ("state", &"stepping_down".into())
    );
    assert!(election["valid_for_ms"].is_null(), "{election}");
    b.wait_leading(ROLE_BOUND);
    assert_eq!(a.wait_exit(EXIT_BOUND).code(), Some(0));

    let history = witnesses.judged();
    stopped_at_once(&history, asked);
    led_after(&history, promised_until, RENEW_DEADLINE);
}

#[test]
fn where_nobody_asked_sigterm_hands_over_immediately() {
    let (_etcd, mut a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    let asked = clock::now();
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    handed_over_immediately(&witnesses.judged(), asked);
}

#[test]
fn where_nobody_asked_resigning_hands_over_immediately() {
    let (_etcd, a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    let asked = clock::now();
    assert_eq!(a.post("/resign").status, 202);
    b.wait_leading(ROLE_BOUND);
    handed_over_immediately(&witnesses.judged(), asked);
}

#[test]
fn once_the_application_has_stopped_resigning_hands_over_immediately() {
    let (_etcd, a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    read_promise(&a);
    let asked = clock::now();
    assert_eq!(a.post("/resign?stopped=true").status, 202);
    b.wait_leading(ROLE_BOUND);
    handed_over_immediately(&witnesses.judged(), asked);
}

#[test]
fn an_application_that_stops_while_its_promise_runs_lets_the_next_one_lead_at_once() {
    let (_etcd, mut a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    read_promise(&a);
    let asked = clock::now();
    a.term();
    a.wait_state("stepping_down", AT_ONCE);
    a.post("/resign?stopped=true");
    b.wait_leading(ROLE_BOUND);
    assert_eq!(a.wait_exit(IMMEDIATE).code(), Some(0));
    handed_over_immediately(&witnesses.judged(), asked);
}

#[test]
fn a_shutdown_that_waits_for_nothing_hands_over_whatever_was_promised() {
    let (_etcd, mut a, b) = leader_and_successor("shutdown: { wait_for: none }");
    let witnesses = Witnesses::of(&[&a, &b]);
    read_promise(&a);
    let asked = clock::now();
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    handed_over_immediately(&witnesses.judged(), asked);
}

#[test]
fn a_shutdown_that_waits_for_a_duration_waits_for_it_though_nobody_asked() {
    let (_etcd, mut a, b) = leader_and_successor("shutdown: { wait_for: 1200ms }");
    let witnesses = Witnesses::of(&[&a, &b]);
    let asked = clock::now();
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    let history = witnesses.judged();
    stopped_at_once(&history, asked);
    led_after(&history, asked + ms(1_200), ms(1_000));
}

#[test]
fn a_second_sigterm_leaves_at_once_and_releases_nothing() {
    let (etcd, mut a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    let key = etcd.ctl().places(PREFIX).remove(0);
    read_promise(&a);
    a.term();
    a.wait_state("stepping_down", AT_ONCE);
    a.term();
    let status = a.wait_exit(AT_ONCE);
    let left = clock::now();
    assert_ne!(status.code(), Some(0), "{status}");
    assert_eq!(etcd.ctl().places(PREFIX)[0], key, "nothing was released");
    b.wait_leading(TTL + ms(2_000));

    let history = witnesses.judged();
    let took = successor(&history).first.answered_at.since(left);
    assert!(took > ms(500) && took < TTL + ms(1_000), "b took {took:?}");
}

#[test]
fn who_has_resigned_stays_out_for_the_cooldown() {
    let etcd = Etcd::started();
    let a = Spec::on_etcd("a", &etcd).start_leading();
    let witnesses = Witnesses::of(&[&a]);
    let asked = clock::now();
    assert_eq!(a.post("/resign?cooldown=2500ms").status, 202);
    wait_for_places(&etcd, 0);
    a.wait_leading(ROLE_BOUND);
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "a"]);
    led_after(&history, asked + ms(2_500), ms(3_000));
}

#[test]
fn who_has_resigned_follows_and_queues_up_again_after_the_cooldown() {
    let (etcd, a, b) = leader_and_successor("");
    let witnesses = Witnesses::of(&[&a, &b]);
    let old = etcd.ctl().places(PREFIX).remove(0);
    assert_eq!(a.post("/resign?cooldown=1500ms").status, 202);
    b.wait_leading(ROLE_BOUND);
    eventually("a follows b", ROLE_BOUND, || {
        let election = a.probe_leader()?;
        (election["state"] == "follower" && election["leader"]["id"] == "b").then_some(())
    });
    assert_eq!(
        a.post("/resign").status,
        409,
        "a follower has nothing to resign"
    );
    wait_for_places(&etcd, 2);
    let new = etcd.ctl().places(PREFIX).remove(1);
    assert!(new.create_revision > old.create_revision);
    assert_eq!(witnesses.judged().succession(), ["a", "b"]);
}

#[test]
fn promises_are_only_given_on_api_and_never_by_a_follower() {
    let (_etcd, a, b) = leader_and_successor("");
    let promise = a.ask("/leader").json()["valid_for_ms"].as_u64();
    let deadline = RENEW_DEADLINE.as_millis() as u64;
    assert!(
        promise.is_some_and(|promise| promise <= deadline),
        "{promise:?}"
    );
    for path in ["/leader", "/status"] {
        let answer = a.probe(path).body;
        assert!(answer.contains("\"valid_for_ms\":null"), "{answer}");
        let answer = b.ask(path).body;
        assert!(answer.contains("\"valid_for_ms\":null"), "{answer}");
    }
}

/// `a` leads and `b` is next; both with one more line of config.
#[track_caller]
fn leader_and_successor(config: &str) -> (Etcd, Sidecar, Sidecar) {
    let etcd = Etcd::started();
    let a = queue_up(&Spec::on_etcd("a", &etcd).with(config), &etcd);
    let b = queue_up(&Spec::on_etcd("b", &etcd).with(config), &etcd);
    (etcd, a, b)
}

/// Reads on `api` that it leads, until a promise has long to run; tells the end of the last promise.
#[track_caller]
fn read_promise(sidecar: &Sidecar) -> Time {
    eventually("a long promise", ROLE_BOUND, || {
        let asked = clock::now();
        let election = sidecar.ask("/leader").json();
        long_enough(asked, election["valid_for_ms"].as_u64()?)
    })
}

/// Counted from the question: the answer was true at that time or later.
fn long_enough(asked: Time, valid_for_ms: u64) -> Option<Time> {
    let promise = ms(valid_for_ms);
    (promise > RENEW_DEADLINE - ms(400)).then(|| asked + promise)
}

#[track_caller]
fn stepping_down_on_both(sidecar: &Sidecar) {
    sidecar.wait_state("stepping_down", AT_ONCE);
    for answer in [sidecar.probe("/leader"), sidecar.ask("/leader")] {
        let election = answer.json();
        assert_eq!(
            (answer.status, &election["is_leader"]),
            (503, &false.into())
        );
        assert_eq!(election["state"], "stepping_down", "{election}");
    }
    assert_eq!(sidecar.status_of("/livez"), Some(200));
}

#[track_caller]
fn stopped_at_once(history: &History, asked: Time) {
    let claimed_for = history.leaderships()[0].last.asked_at.since(asked);
    assert!(claimed_for < AT_ONCE, "a claimed for {claimed_for:?} more");
}

#[track_caller]
fn successor(history: &History) -> Leadership {
    history.leaderships().remove(1)
}

/// Nobody else led before `time`, and somebody did soon after it.
#[track_caller]
fn led_after(history: &History, time: Time, bound: Duration) {
    let first = successor(history).first;
    let early = time.since(first.answered_at);
    assert_eq!(early, Duration::ZERO, "the promise was broken by {early:?}");
    let late = first.answered_at.since(time);
    assert!(late < bound, "led {late:?} after the promise was over");
}

#[track_caller]
fn handed_over_immediately(history: &History, asked: Time) {
    assert_eq!(history.succession(), ["a", "b"]);
    let took = successor(history).first.answered_at.since(asked);
    assert!(took < IMMEDIATE, "the hand-over took {took:?}");
}
