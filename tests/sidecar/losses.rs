//! Candidates that lose their key or their lease, or that are stopped for a while.

use crate::support::etcd::Etcd;
use crate::support::http::{Client, Question};
use crate::support::sidecar::{
    PREFIX, RENEW_DEADLINE, ROLE_BOUND, Sidecar, Spec, TTL, three_in_order, wait_for_places,
};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass, ms};
use tenure::clock;

/// etcd drops a lease up to half a second after its end; the rest is for a busy machine.
const SWEEP: std::time::Duration = ms(1_500);

#[test]
fn a_leader_frozen_past_its_lease_claims_nothing_when_it_goes_on_and_rejoins() {
    let etcd = Etcd::started();
    let [mut a, b, c] = three_in_order(&etcd);
    let witnesses = Witnesses::of(&[&a, &b, &c]);

    a.freeze();
    b.wait_leading(TTL + SWEEP);
    // What it is asked while it can't answer is what it answers first.
    let questions: Vec<Question> = [a.api, a.probes, a.api, a.probes]
        .map(|port| {
            let mut question = Question::connect(port, ms(5_000)).unwrap();
            question.ask("GET", "/leader", &[]).unwrap();
            question
        })
        .into();
    a.thaw();
    for mut question in questions {
        let answer = question.answer().unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        let election = answer.json();
        assert_eq!(election["is_leader"], false);
        assert!(election["fencing_token"].is_null() && election["valid_for_ms"].is_null());
    }
    rejoined_behind(&etcd, &a, "b");

    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
}

/// Many elections keep the loop that steps down busy when it goes on, so that readers come first.
#[test]
fn of_many_elections_led_none_is_claimed_before_the_loop_has_noticed_the_freeze() {
    const COUNT: usize = 24;
    let etcd = Etcd::started();
    let names: Vec<String> = (0..COUNT).map(|i| format!("election-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let spec = |id: &str| {
        Spec::on_etcd(id, &etcd)
            .lease(TTL, RENEW_DEADLINE, ms(900))
            .elections(&names)
    };
    let all_in = |sidecar: &Sidecar, state: &str| {
        eventually(state, ROLE_BOUND, || {
            let status = Client::new(sidecar.probes, ms(1_000)).get("/status").ok()?;
            let elections = status.json()["elections"].take();
            let all = elections
                .as_array()?
                .iter()
                .all(|each| each["state"] == state);
            all.then_some(())
        });
    };
    let mut a = spec("a").start();
    all_in(&a, "leader");
    let b = spec("b").start();
    all_in(&b, "follower");

    // Connections that are open already are answered first of all.
    let mut questions: Vec<Question> = [a.api, a.probes]
        .into_iter()
        .cycle()
        .take(COUNT)
        .map(|port| Question::connect(port, ms(5_000)).unwrap())
        .collect();
    for question in &mut questions {
        question.ask("GET", "/livez", &[]).unwrap();
        assert_eq!(question.answer().unwrap().status, 200);
    }
    a.freeze();
    all_in(&b, "leader");
    // On a busy machine it all may take so long that a connection is given up as idle.
    for (question, name) in questions.iter_mut().zip(names) {
        let _ = question.ask("GET", &format!("/leader?election={name}"), &[]);
    }
    a.thaw();
    let answers = questions.iter_mut().map(Question::answer);
    let statuses: Vec<u16> = answers.flatten().map(|answer| answer.status).collect();
    let none_claims = statuses.iter().all(|status| *status == 503);
    assert!(!statuses.is_empty() && none_claims, "{statuses:?}");
}

#[test]
fn a_leader_frozen_for_less_than_its_deadline_leads_on() {
    let etcd = Etcd::started();
    let spec = |id: &str| Spec::on_etcd(id, &etcd).lease(ms(10_000), ms(8_000), ms(1_000));
    let mut a = spec("a").start_leading();
    let b = spec("b").start_following();
    let witnesses = Witnesses::of(&[&a, &b]);
    let token = a.wait_leading(ROLE_BOUND);
    a.freeze();
    let_pass(ms(2_500));
    a.thaw();
    assert_eq!(a.wait_leading(ms(1_000)), token);
    let_pass(ms(1_500));
    assert_eq!(witnesses.judged().succession(), ["a"]);
}

#[test]
fn a_leader_whose_key_is_deleted_steps_down_and_the_next_one_leads() {
    let etcd = Etcd::started();
    let [a, b, c] = three_in_order(&etcd);
    let witnesses = Witnesses::of(&[&a, &b, &c]);

    let key = etcd.ctl().places(PREFIX).remove(0).key;
    etcd.ctl().run(&["del", &key]);
    let deleted = clock::now();
    b.wait_leading(ROLE_BOUND);
    rejoined_behind(&etcd, &a, "b");
    wait_for_places(&etcd, 3);
    assert_eq!(etcd.ctl().lease_count(), 3, "the old lease is gone");
    assert_eq!(step_downs(&a, &["key_gone"]), 1.0);

    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let leaderships = history.leaderships();
    let claimed_for = leaderships[0].last.asked_at.since(deleted);
    assert!(claimed_for < ms(500), "a claimed for {claimed_for:?} more");
    let took = leaderships[1].first.answered_at.since(deleted);
    assert!(took < ms(1_000), "b took {took:?}");
}

#[test]
fn a_leader_whose_lease_is_revoked_steps_down_and_the_next_one_leads() {
    let etcd = Etcd::started();
    let [a, b, c] = three_in_order(&etcd);
    let witnesses = Witnesses::of(&[&a, &b, &c]);

    let lease = etcd.ctl().places(PREFIX).remove(0).lease;
    etcd.ctl().run(&["lease", "revoke", &lease]);
    b.wait_leading(ROLE_BOUND);
    rejoined_behind(&etcd, &a, "b");
    wait_for_places(&etcd, 3);
    assert_eq!(step_downs(&a, &["key_gone", "lease_gone"]), 1.0);

    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
}

#[test]
fn a_lone_leader_whose_key_is_deleted_leads_again_under_a_higher_token() {
    let etcd = Etcd::started();
    let a = Spec::on_etcd("a", &etcd).start_leading();
    let witnesses = Witnesses::of(&[&a]);
    for _ in 0..3 {
        let token = a.wait_leading(ROLE_BOUND);
        let key = etcd.ctl().places(PREFIX).remove(0).key;
        etcd.ctl().run(&["del", &key]);
        eventually("a leads again", ROLE_BOUND, || {
            let election = a.probe_leader()?;
            (election["fencing_token"].as_u64()? > token).then_some(())
        });
    }
    // The first ones may have been too short to be witnessed.
    assert!(witnesses.judged().leaderships().len() > 1);
}

#[test]
fn a_waiter_frozen_past_its_lease_never_leads_on_the_key_that_is_gone() {
    let etcd = Etcd::started();
    let mut a = Spec::on_etcd("a", &etcd).start_leading();
    let mut b = Spec::on_etcd("b", &etcd).start_following();
    wait_for_places(&etcd, 2);
    let old_place = etcd.ctl().places(PREFIX).remove(1);
    let witnesses = Witnesses::of(&[&a, &b]);

    b.freeze();
    eventually("the end of b's lease", TTL + SWEEP, || {
        (etcd.ctl().places(PREFIX).len() == 1).then_some(())
    });
    a.end_well();
    b.thaw();
    let token = b.wait_leading(ROLE_BOUND);
    leads_on_the_first_key(&etcd, token);

    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let claimed = &history.leaderships()[1];
    assert!(claimed.token > old_place.create_revision);
}

#[test]
fn a_waiter_that_is_thawed_while_another_leads_joins_again_behind_it() {
    let etcd = Etcd::started();
    let [mut a, mut b, c] = three_in_order(&etcd);
    let witnesses = Witnesses::of(&[&a, &b, &c]);
    b.freeze();
    eventually("the end of b's lease", TTL + SWEEP, || {
        (etcd.ctl().places(PREFIX).len() == 2).then_some(())
    });
    a.end_well();
    c.wait_leading(ROLE_BOUND);
    b.thaw();
    rejoined_behind(&etcd, &b, "c");
    assert_eq!(witnesses.judged().succession(), ["a", "c"]);
}

#[test]
fn a_waiter_whose_lease_is_revoked_starts_over_with_a_new_one() {
    let etcd = Etcd::started();
    let mut a = Spec::on_etcd("a", &etcd).start_leading();
    let b = Spec::on_etcd("b", &etcd).start_following();
    wait_for_places(&etcd, 2);
    let witnesses = Witnesses::of(&[&a, &b]);

    let old = etcd.ctl().places(PREFIX).remove(1);
    etcd.ctl().run(&["lease", "revoke", &old.lease]);
    eventually("a new place for b", ROLE_BOUND, || {
        let places = etcd.ctl().places(PREFIX);
        (places.len() == 2 && places[1].create_revision > old.create_revision).then_some(())
    });
    a.end_well();
    let token = b.wait_leading(ROLE_BOUND);
    leads_on_the_first_key(&etcd, token);
    assert_eq!(witnesses.judged().succession(), ["a", "b"]);
}

/// It follows `leader`, and has taken a new place behind it.
#[track_caller]
fn rejoined_behind(etcd: &Etcd, sidecar: &Sidecar, leader: &str) {
    eventually("it follows", ROLE_BOUND, || {
        let election = sidecar.probe_leader()?;
        let follows = election["state"] == "follower" && election["leader"]["id"] == leader;
        follows.then_some(())
    });
    let id = format!("\"id\":\"{}\"", sidecar.id);
    eventually("it has joined again", ROLE_BOUND, || {
        let places = etcd.ctl().places(PREFIX);
        let place = places.iter().rposition(|place| place.value.contains(&id));
        (place? > 0).then_some(())
    });
}

#[track_caller]
fn leads_on_the_first_key(etcd: &Etcd, token: u64) {
    let first = etcd.ctl().places(PREFIX).into_iter().next();
    let revision = first.as_ref().map(|place| place.create_revision);
    assert_eq!(revision, Some(token), "{first:?}");
}

/// How often it has stepped down for one of these reasons.
#[track_caller]
fn step_downs(sidecar: &Sidecar, reasons: &[&str]) -> f64 {
    let count = |reason| {
        let label = format!("reason=\"{reason}\"");
        sidecar.metric("tenure_step_downs_total", &[&label])
    };
    reasons.iter().map(count).sum()
}
