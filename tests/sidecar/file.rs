//! The embedded store: several candidates in one directory.

use crate::support::http::Question;
use crate::support::sidecar::{
    ELECTION, RETRY_PERIOD, ROLE_BOUND, Sidecar, Spec, TTL, wait_for_one_leader,
};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass, ms};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tenure::clock;

/// For a busy machine and a slow disk.
const SLACK: Duration = ms(1_000);

#[test]
fn of_three_candidates_in_one_directory_one_leads_and_the_others_know_it() {
    let directory = TempDir::new().unwrap();
    let sidecars = ["a", "b", "c"].map(|id| Spec::on_files(id, directory.path()).start());
    let sidecars = sidecars.each_ref();
    let witnesses = Witnesses::of(&sidecars);
    let leader = wait_for_one_leader(&sidecars, ROLE_BOUND);
    let id = &sidecars[leader].id;
    for sidecar in sidecars {
        eventually("everyone knows who leads", ROLE_BOUND, || {
            let election = sidecar.probe_leader()?;
            let advertise = format!("http://{id}.test:8080");
            let known =
                election["leader"]["id"] == **id && election["leader"]["advertise"] == advertise;
            known.then_some(())
        });
    }
    let_pass(TTL + RETRY_PERIOD);
    let history = witnesses.judged();
    assert_eq!(history.succession(), [id.as_str()]);
    history.assert_always_alive();
}

#[test]
fn on_sigterm_another_leads_within_a_retry_period() {
    let directory = TempDir::new().unwrap();
    let (mut a, b) = leader_and_successor(directory.path());
    let witnesses = Witnesses::of(&[&a, &b]);
    let asked = clock::now();
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let took = history.leaderships()[1].first.answered_at.since(asked);
    assert!(took < RETRY_PERIOD + SLACK, "b took {took:?}");
}

#[test]
fn a_killed_leader_is_succeeded_within_a_retry_period_of_the_end_of_its_lease() {
    let directory = TempDir::new().unwrap();
    let (mut a, b) = leader_and_successor(directory.path());
    let witnesses = Witnesses::of(&[&a, &b]);
    a.kill();
    let killed = clock::now();
    b.wait_leading(ROLE_BOUND);
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let took = history.leaderships()[1].first.answered_at.since(killed);
    assert!(took < TTL + RETRY_PERIOD + SLACK, "b took {took:?}");
}

#[test]
fn a_frozen_leader_is_succeeded_and_claims_nothing_when_it_goes_on() {
    let directory = TempDir::new().unwrap();
    let (mut a, b) = leader_and_successor(directory.path());
    let witnesses = Witnesses::of(&[&a, &b]);
    a.freeze();
    b.wait_leading(TTL + RETRY_PERIOD + SLACK);
    let mut question = Question::connect(a.api, ms(5_000)).unwrap();
    question.ask("GET", "/leader", &[]).unwrap();
    a.thaw();
    let answer = question.answer().unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    eventually("a follows b", ROLE_BOUND, || {
        let election = a.probe_leader()?;
        (election["state"] == "follower" && election["leader"]["id"] == "b").then_some(())
    });
    assert_eq!(witnesses.judged().succession(), ["a", "b"]);
}

#[test]
fn a_leader_whose_directory_goes_away_leads_no_more_and_keeps_its_promise_should_it_come_back() {
    let directory = TempDir::new().unwrap();
    let patient = |id| Spec::on_files(id, directory.path()).lease(ms(6_000), ms(4_000), ms(1_000));
    let a = patient("a").start_leading();
    let b = patient("b").start_following();
    let asked = clock::now();
    let promised = a.ask("/leader").json()["valid_for_ms"].as_u64().unwrap();
    let (place, away) = (
        directory.path().join("payments.d"),
        directory.path().join("away"),
    );
    fs::rename(&place, &away).unwrap();
    a.wait_state("stepping_down", ms(1_000));
    fs::rename(&away, &place).unwrap();
    b.wait_leading(ms(10_000));
    let kept = clock::now().since(asked);
    assert!(kept >= ms(promised), "{kept:?} of {promised} ms");
}

#[test]
fn tokens_rise_when_all_candidates_restart_in_order_or_after_a_crash() {
    let directory = TempDir::new().unwrap();
    let (mut a, mut b) = leader_and_successor(directory.path());
    let mut last = a.wait_leading(ROLE_BOUND);
    for crash in [false, true, false] {
        let witnesses = Witnesses::of(&[&a, &b]);
        for sidecar in [&mut b, &mut a] {
            if crash {
                sidecar.kill();
            } else {
                sidecar.end_well();
            }
        }
        for sidecar in [&mut a, &mut b] {
            sidecar.restart();
        }
        let leader = wait_for_one_leader(&[&a, &b], TTL + ROLE_BOUND);
        let token = [&a, &b][leader].wait_leading(ROLE_BOUND);
        assert!(token > last, "{token} after {last}");
        last = token;
        witnesses.judged();
    }
}

#[test]
fn a_corrupt_state_is_reported_and_never_read_as_nobody_leads() {
    let tested = (0..5).any(|_| stays_leaderless_while_corrupt());
    assert!(tested, "b was frozen in the middle of a write every time");
}

/// False where `b` was frozen between reading the state and writing the next: then that one counts, rightly.
#[track_caller]
fn stays_leaderless_while_corrupt() -> bool {
    let directory = TempDir::new().unwrap();
    let (mut a, mut b) = leader_and_successor(directory.path());
    let mut witnesses = Witnesses::of(&[&a, &b]);
    // Nobody writes while it is corrupted, and then there is nobody to write it anew but the waiter.
    b.freeze();
    a.kill();
    let state = state_that_counts(directory.path());
    let intact = fs::read(&state).unwrap();
    let corrupted = clock::now();
    fs::write(&state, &intact[..intact.len() / 2]).unwrap();
    b.thaw();
    let c = Spec::on_files("c", directory.path()).start();
    witnesses.also(&c);
    let_pass(TTL + RETRY_PERIOD + SLACK);
    if state_that_counts(directory.path()) != state {
        return false;
    }
    assert!(!b.leads() && !c.leads());
    let name = state.file_name().unwrap().to_str().unwrap();
    for sidecar in [&b, &c] {
        let log = sidecar.log();
        assert!(
            log.contains(name),
            "the log of {} names no {name}",
            sidecar.id
        );
    }
    // Neither is it read so after a restart.
    b.restart();
    let_pass(TTL);
    assert!(!b.leads());
    assert_eq!(b.status_of("/livez"), Some(200));

    let mended = clock::now();
    fs::write(&state, &intact).unwrap();
    wait_for_one_leader(&[&b, &c], TTL + ROLE_BOUND);
    let history = witnesses.judged();
    let between = history
        .claims
        .iter()
        .find(|claim| claim.asked_at > corrupted && claim.asked_at < mended);
    assert!(between.is_none(), "{between:?}");
    true
}

#[test]
fn a_state_corrupted_under_a_leader_never_makes_two() {
    let directory = TempDir::new().unwrap();
    let (mut a, mut b) = leader_and_successor(directory.path());
    let c = Spec::on_files("c", directory.path()).start_following();
    let witnesses = Witnesses::of(&[&a, &b, &c]);
    for garbage in ["", "{}", "{\"format\":1}\n", "\0\0\0\0"] {
        a.freeze();
        b.freeze();
        let state = state_that_counts(directory.path());
        let intact = fs::read(&state).unwrap();
        fs::write(&state, garbage).unwrap();
        a.thaw();
        b.thaw();
        let_pass(TTL + SLACK);
        fs::write(&state, &intact).unwrap();
        wait_for_one_leader(&[&a, &b, &c], TTL + ROLE_BOUND);
    }
    witnesses.judged().assert_always_alive();
}

#[test]
fn the_states_left_behind_don_t_pile_up() {
    let directory = TempDir::new().unwrap();
    let (mut a, mut b) = leader_and_successor(directory.path());
    let_pass(TTL);
    let count = fs::read_dir(election_directory(directory.path()))
        .unwrap()
        .count();
    assert!(count < 200, "{count} files after {TTL:?}");
    b.end_well();
    a.end_well();
}

#[test]
fn another_election_in_the_same_directory_is_another_election() {
    let directory = TempDir::new().unwrap();
    let a = Spec::on_files("a", directory.path()).start_leading();
    let other = Spec::on_files("b", directory.path()).elections(&["reports"]);
    let b = other.start_leading();
    assert!(a.leads() && b.leads());
}

/// `a` leads, and `b` follows.
#[track_caller]
fn leader_and_successor(directory: &Path) -> (Sidecar, Sidecar) {
    let a = Spec::on_files("a", directory).start_leading();
    let b = Spec::on_files("b", directory).start_following();
    // It follows once it has read who leads; its own place comes a write later.
    let_pass(RETRY_PERIOD);
    (a, b)
}

fn election_directory(directory: &Path) -> PathBuf {
    directory.join(format!("{ELECTION}.d"))
}

/// The state that the head names.
#[track_caller]
fn state_that_counts(directory: &Path) -> PathBuf {
    let directory = election_directory(directory);
    let head = eventually("a head", ROLE_BOUND, || {
        let names = fs::read_dir(&directory).unwrap();
        let mut names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.find_map(|name| Some(name.strip_prefix("head.")?.to_owned()))
    });
    directory.join(format!("state.{head}.json"))
}
