//! An etcd that is away for a while.

use crate::support::api_server::ApiServer;
use crate::support::etcd::Etcd;
use crate::support::sidecar::{
    RENEW_DEADLINE, ROLE_BOUND, Sidecar, Spec, TTL, three_in_order, wait_for_one_leader,
    wait_for_places,
};
use crate::support::witness::{History, Witnesses};
use crate::support::{eventually, free_port, let_pass, ms};
use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use tenure::clock;
use tenure::election::Time;

/// How long after etcd's return somebody leads again.
const RETURN_BOUND: Duration = ms(1_000);

#[test]
fn an_etcd_that_restarts_within_the_deadline_costs_no_leadership() {
    let mut etcd = Etcd::started();
    let patient = |id: &str| Spec::on_etcd(id, &etcd).lease(ms(30_000), ms(20_000), ms(1_000));
    let sidecars = ["a", "b", "c"].map(|id| {
        let sidecar = patient(id).start();
        eventually("a role", ROLE_BOUND, || {
            (sidecar.status_of("/readyz")? == 200).then_some(())
        });
        sidecar
    });
    let sidecars = sidecars.each_ref();
    let leader = wait_for_one_leader(&sidecars, ROLE_BOUND);
    let witnesses = Witnesses::of(&sidecars);

    etcd.kill();
    let_pass(ms(2_000));
    let back = restarted(&mut etcd);
    let_pass(RETURN_BOUND);
    wait_for_places(&etcd, 3);
    assert!(sidecars[leader].leads());
    // The successor's watch works again, too.
    assert_eq!(etcd.ctl().lease_count(), 3);

    let history = witnesses.judged();
    assert_eq!(history.leaderships().len(), 1);
    led_soon_after(&history, back);
    history.assert_always_alive();
}

#[test]
fn an_etcd_away_for_two_seconds_is_back_with_one_leader_within_a_second() {
    let mut etcd = Etcd::started();
    let sidecars = three_in_order(&etcd);
    outage(&mut etcd, &sidecars, ms(2_000));
}

#[test]
fn an_etcd_away_for_longer_than_the_ttl_is_back_with_one_leader_within_a_second() {
    let mut etcd = Etcd::started();
    let sidecars = three_in_order(&etcd);
    outage(&mut etcd, &sidecars, TTL + ms(3_000));
}

#[test]
fn an_etcd_frozen_for_longer_than_the_ttl_is_back_with_one_leader_within_a_second() {
    let mut etcd = Etcd::started();
    let sidecars = three_in_order(&etcd);
    let witnesses = Witnesses::of(&sidecars.each_ref());
    etcd.freeze();
    let frozen = clock::now();
    eventually(
        "nobody leads on a frozen store",
        RENEW_DEADLINE + ms(1_000),
        || {
            sidecars
                .iter()
                .all(|sidecar| !sidecar.leads())
                .then_some(())
        },
    );
    let_pass(TTL);
    etcd.thaw();
    etcd.wait_until_healthy();
    let back = clock::now();
    wait_for_one_leader(&sidecars.each_ref(), ROLE_BOUND);
    wait_for_places(&etcd, 3);

    let history = witnesses.judged();
    stopped_in_time(&history, frozen, back);
    led_soon_after(&history, back);
    history.assert_always_alive();
}

#[test]
fn a_sidecar_that_starts_without_etcd_is_alive_and_unready_and_leads_when_etcd_comes() {
    let mut etcd = Etcd::absent();
    let a = Spec::on_etcd("a", &etcd).start();
    eventually("a is alive", ROLE_BOUND, || {
        (a.status_of("/livez")? == 200).then_some(())
    });
    let witnesses = Witnesses::of(&[&a]);
    let_pass(ms(1_500));
    for path in ["/startupz", "/readyz", "/leader", "/follower"] {
        assert_eq!(a.status_of(path), Some(503), "{path}");
    }
    let election = a.probe_leader().unwrap();
    assert_eq!(election["state"], "starting");
    assert!(election["leader"].is_null());

    let back = restarted(&mut etcd);
    a.wait_leading(ROLE_BOUND);
    for path in ["/startupz", "/readyz", "/leader"] {
        assert_eq!(a.status_of(path), Some(200), "{path}");
    }
    let history = witnesses.judged();
    led_soon_after(&history, back);
    history.assert_always_alive();
}

#[test]
fn a_sidecar_can_be_ended_while_etcd_is_away() {
    let mut etcd = Etcd::started();
    let mut a = Spec::on_etcd("a", &etcd).start_leading();
    let mut b = Spec::on_etcd("b", &etcd).start_following();
    etcd.kill();
    for sidecar in [&mut b, &mut a] {
        sidecar.term();
        // Its lease runs out meanwhile: nothing is left to be released.
        let status = sidecar.wait_exit(TTL + ms(3_000));
        assert!(status.code().is_some(), "{status}");
    }
}

/// etcd is away for so long: nobody leads on without it, everybody lives, and somebody leads again soon.
#[track_caller]
fn outage(etcd: &mut Etcd, sidecars: &[Sidecar; 3], duration: Duration) {
    let witnesses = Witnesses::of(&sidecars.each_ref());
    etcd.kill();
    let away = clock::now();
    let_pass(duration);
    for sidecar in sidecars {
        assert_eq!(sidecar.status_of("/readyz"), Some(200), "{}", sidecar.id);
    }
    let back = restarted(etcd);
    wait_for_one_leader(&sidecars.each_ref(), ROLE_BOUND);
    wait_for_places(etcd, 3);

    let history = witnesses.judged();
    stopped_in_time(&history, away, back);
    led_soon_after(&history, back);
    history.assert_always_alive();
}

/// Starts it; tells when it was healthy.
#[track_caller]
fn restarted(etcd: &mut Etcd) -> Time {
    etcd.start();
    etcd.wait_until_healthy();
    clock::now()
}

/// A second before its health was seen, etcd may have answered already; until then, nothing renewed.
#[track_caller]
fn stopped_in_time(history: &History, away: Time, back: Time) {
    let claims = history.claims.iter();
    let stale = claims.clone().find(|claim| {
        claim.asked_at.since(away) >= RENEW_DEADLINE && back.since(claim.asked_at) > ms(1_000)
    });
    assert!(stale.is_none(), "without etcd since {away:?}: {stale:?}");
}

#[track_caller]
fn led_soon_after(history: &History, back: Time) {
    let took = history.first_asked_from(back).answered_at.since(back);
    assert!(
        took < RETURN_BOUND,
        "nobody led until {took:?} after etcd's return"
    );
}

#[test]
fn an_etcd_that_takes_no_connections_is_not_hammered() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    // Ends with the test binary. Each connection is closed at once.
    thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut a = Spec::on_endpoints("a", &[endpoint]).start();
    eventually("it tries", ROLE_BOUND, || {
        (tries.load(Ordering::Relaxed) > 0).then_some(())
    });
    let_pass(ms(3_000));
    let tries = tries.load(Ordering::Relaxed);
    assert!(tries < 150, "{tries} connections in 3 s");
    a.end_well();
}

#[test]
fn who_never_reached_the_store_leaves_at_once() {
    let port = free_port();
    let directory = TempDir::new().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    fs::write(&kubeconfig, ApiServer::kubeconfig(port, "elections")).unwrap();
    for spec in [
        Spec::on_endpoints("a", &[format!("http://127.0.0.1:{port}")]),
        Spec::on_kubernetes("a", &kubeconfig),
    ] {
        let mut a = spec.lease(ms(60_000), ms(40_000), ms(2_000)).start();
        eventually("it tries", ROLE_BOUND, || {
            a.log().contains("refused").then_some(())
        });
        let asked = clock::now();
        a.end_well();
        let took = clock::now().since(asked);
        assert!(took < ms(3_000), "{took:?}");
    }
}

#[test]
fn who_can_not_release_says_what_it_waits_for() {
    let etcd = Etcd::started();
    let mut a = Spec::on_etcd("a", &etcd).start_leading();
    drop(etcd);
    a.term();
    eventually("it says so", ROLE_BOUND, || {
        a.log().contains("still stopping").then_some(())
    });
    a.wait_exit(TTL + ROLE_BOUND);
}
