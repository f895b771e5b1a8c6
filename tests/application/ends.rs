//! How the application ends where nothing fails.

use crate::stage::{BOUND, STOP_TIMEOUT, Stage, far, is_alive, wait_gone, within};
use crate::support::{eventually, let_pass, ms};
use std::process::Command;
use tenure::clock;

/// Says that it was asked to stop, and goes on.
const STUBBORN: &str = "trap 'echo $$ > asked' TERM; echo $$ > pid; while :; do sleep 0.02; done";

/// Stops when it is asked to.
const OBEDIENT: &str = "trap 'exit 5' TERM; echo $$ > pid; while :; do sleep 0.02; done";

#[test]
fn its_exit_code_is_reported_for_each_leadership() {
    let script = r#"case $TENURE_FENCING_TOKEN in
        1) exit 0;; 2) exit 3;; 3) kill -9 $$;; 4) kill -TERM $$;; esac"#;
    let mut stage = Stage::new(script);
    for (token, code) in [(1, 0), (2, 3), (3, 137), (4, 143)] {
        stage.run(token, far());
        assert_eq!(stage.report(), format!("{token} exited {code}"));
    }
}

#[test]
fn what_can_not_be_executed_ends_as_in_a_shell() {
    for (command, code) in [("/nowhere/absent", 127), ("/etc/passwd", 126)] {
        let mut stage = Stage::with_command(&[command], |command| command);
        stage.run(1, far());
        assert_eq!(stage.report(), format!("1 exited {code}"));
    }
}

#[test]
fn it_is_not_started_when_its_time_has_passed() {
    let mut stage = Stage::new("echo ran > ran");
    let past = within(ms(0), ms(0));
    stage.run(1, past);
    assert_eq!(stage.report(), "1 stopped -");
    assert!(stage.try_note("ran").is_none());
}

#[test]
fn the_shim_starts_nothing_late_or_without_its_guardian() {
    let far = far().stop_at.as_nanos().to_string();
    let own = std::process::id().to_string();
    for (guardian, start_before) in [("1", far.as_str()), (own.as_str(), "1")] {
        let mut shim = Command::new(env!("CARGO_BIN_EXE_tenure"));
        shim.args(["guarded", "--guardian", guardian, "--start-before"]);
        shim.args([start_before, "--", "echo", "ran"]);
        let output = shim.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn it_is_asked_to_stop_when_its_time_is_over_and_not_before() {
    let mut stage = Stage::new(OBEDIENT);
    let deadline = within(ms(1_000), ms(20_000));
    stage.run(1, deadline);
    assert_eq!(stage.report(), "1 stopped 5");
    let now = clock::now();
    assert!(deadline.stop_at <= now && now < deadline.kill_at);
}

#[test]
fn it_is_killed_when_the_lease_ends_and_not_before() {
    let mut stage = Stage::new(STUBBORN);
    let deadline = within(ms(700), ms(2_000));
    stage.run(1, deadline);
    assert_eq!(stage.report(), "1 stopped 137");
    let late = clock::now().since(deadline.kill_at);
    assert!(
        clock::now() >= deadline.kill_at && late < ms(1_000),
        "{late:?}"
    );
    assert!(!is_alive(stage.pid("pid")));
    assert!(stage.try_note("asked").is_some());
}

#[test]
fn it_lives_on_while_its_deadline_moves_on() {
    let mut stage = Stage::new(OBEDIENT);
    stage.run(1, within(ms(2_000), ms(20_000)));
    let pid = stage.pid("pid");
    let begin = clock::now();
    while clock::now() < begin + ms(4_000) {
        stage.extend(within(ms(2_000), ms(20_000)));
        let_pass(ms(50));
        assert!(is_alive(pid));
    }
    assert_eq!(stage.report(), "1 stopped 5");
}

#[test]
fn an_extension_counts_that_comes_before_the_guardian_is_up() {
    let mut stage = Stage::new(OBEDIENT);
    let short = within(ms(500), ms(20_000));
    stage.run(1, short);
    stage.extend(far());
    let pid = stage.pid("pid");
    let_pass(ms(1_000));
    assert!(clock::now() > short.stop_at && is_alive(pid));
    stage.order("stop");
    assert_eq!(stage.report(), "1 stopped 5");
}

#[test]
fn an_order_asks_it_to_stop_and_kills_it_when_it_takes_too_long() {
    let mut stage = Stage::new(STUBBORN);
    stage.run(1, far());
    let pid = stage.pid("pid");
    let begin = clock::now();
    stage.order("stop");
    stage.note("asked");
    stage.order("stop");
    assert_eq!(stage.report(), "1 stopped 137");
    let took = clock::now().since(begin);
    assert!(
        took >= STOP_TIMEOUT && took < STOP_TIMEOUT + ms(1_000),
        "{took:?}"
    );
    assert!(!is_alive(pid));
}

#[test]
fn an_extension_while_it_stops_grants_it_no_more_than_its_timeout() {
    let mut stage = Stage::new(STUBBORN);
    stage.run(1, within(ms(600), ms(20_000)));
    stage.note("asked");
    stage.extend(far());
    stage.order("stop");
    assert_eq!(stage.report(), "1 stopped 137");
}

#[test]
fn what_is_suspended_is_stopped_too() {
    let mut stage = Stage::new("trap 'exit 5' TERM; echo $$ > pid; kill -STOP $$");
    stage.run(1, far());
    let pid = stage.pid("pid");
    eventually("its suspension", BOUND, || {
        (crate::stage::state(pid) == Some('T')).then_some(())
    });
    stage.order("stop");
    assert_eq!(stage.report(), "1 stopped 5");
}

#[test]
fn it_is_killed_at_once_where_that_is_ordered() {
    let mut stage = Stage::new(STUBBORN);
    stage.run(1, far());
    stage.note("pid");
    let begin = clock::now();
    stage.order("kill");
    assert_eq!(stage.report(), "1 stopped 137");
    assert!(clock::now() < begin + STOP_TIMEOUT);
    assert!(stage.try_note("asked").is_none());
}

#[test]
fn an_order_to_stop_is_answered_where_nothing_runs() {
    let mut stage = Stage::new(OBEDIENT);
    stage.order("stop");
    assert_eq!(stage.report(), "- stopped -");
    stage.run(1, far());
    stage.note("pid");
    stage.order("stop");
    assert_eq!(stage.report(), "1 stopped 5");
    stage.order("kill");
    assert_eq!(stage.report(), "- stopped -");
}

#[test]
fn an_order_to_stop_right_after_the_start_is_no_different() {
    for _ in 0..5 {
        let mut stage = Stage::new("exec sleep 1000");
        stage.run(1, far());
        stage.order("stop");
        let report = stage.report();
        assert!(
            ["1 stopped -", "1 stopped 143"].contains(&report.as_str()),
            "{report}"
        );
    }
}

#[test]
fn the_next_leadership_waits_for_the_end_of_the_last_ones_application() {
    let script = r#"if [ $TENURE_FENCING_TOKEN = 1 ]; then
            trap '' TERM; echo $$ > pid; while :; do sleep 0.02; done
        fi
        kill -0 $(cat pid) 2> /dev/null && echo both > both
        exit 4"#;
    let mut stage = Stage::new(script);
    stage.run(1, far());
    let first = stage.pid("pid");
    stage.run(2, within(ms(0), ms(20_000)));
    stage.extend(far());
    assert_eq!(stage.report(), "1 stopped 137");
    assert!(!is_alive(first));
    assert_eq!(stage.report(), "2 exited 4");
    assert!(stage.try_note("both").is_none());
}

#[test]
fn a_run_that_is_stopped_before_its_turn_never_comes() {
    let mut stage = Stage::new(STUBBORN);
    stage.run(1, far());
    stage.note("pid");
    stage.run(2, far());
    stage.order("stop");
    assert_eq!(stage.report(), "1 stopped 137");
    assert_eq!(stage.report(), "2 stopped -");
}

#[test]
fn nothing_is_left_of_an_application_that_ended_by_itself() {
    let script = "sleep 1000 & echo $! > near
        setsid sh -c 'sleep 1000 & echo $! > below; echo $$ > far; wait' &
        (setsid sh -c 'echo $$ > orphan; exec sleep 1000' &)
        while ! [ -s below -a -s orphan ]; do sleep 0.01; done
        exit 3";
    let mut stage = Stage::new(script);
    stage.run(1, far());
    assert_eq!(stage.report(), "1 exited 3");
    for name in ["near", "far", "below", "orphan"] {
        assert!(!is_alive(stage.pid(name)), "{name}");
    }
}

#[test]
fn it_is_stopped_when_nobody_is_left_to_handle_it() {
    let mut stage = Stage::new(OBEDIENT);
    stage.run(1, far());
    let pid = stage.pid("pid");
    stage.order("drop");
    wait_gone(pid);
    assert_eq!(stage.report(), "1 stopped 5");
}
