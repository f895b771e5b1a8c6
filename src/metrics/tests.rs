use super::*;
use crate::election::{Candidate, Claim, LeaseId, Reason, Role, RoleName, Timing, View};
use crate::status::{ElectionHandle, ElectionStatus};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

const END: Time = Time::from_nanos(10_000_000_000);
const BEFORE_END: Time = Time::from_nanos(7_500_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn metrics(elections: &[&str]) -> (Metrics, Vec<Arc<ElectionStatus>>) {
    let candidate = Candidate {
        id: "a".into(),
        advertise: None,
    };
    let statuses: Vec<_> = elections
        .iter()
        .map(|name| {
            Arc::new(ElectionStatus::new(
                name,
                &candidate,
                SystemTime::UNIX_EPOCH,
            ))
        })
        .collect();
    let board = Board {
        candidate,
        timing: Timing::new(10 * SECOND, 6 * SECOND, 2 * SECOND).unwrap(),
        store: "file",
        connected: Arc::new(AtomicBool::new(true)),
        credentials: Vec::new(),
        elections: statuses
            .iter()
            .map(|status| ElectionHandle {
                status: Arc::clone(status),
                commands: mpsc::channel(1).0,
            })
            .collect(),
    };
    (Metrics::new(board, "0.1.0").unwrap(), statuses)
}

fn lead(status: &ElectionStatus) {
    let claim = Claim {
        token: 4711,
        lease: LeaseId(7),
        valid_until: END,
        overdue_from: END,
    };
    let view = View {
        held_back: None,
        role: Role::Leader(claim),
        holder: None,
    };
    status.publish(view, SystemTime::UNIX_EPOCH);
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
}

#[test]
fn every_known_series_exists_before_anything_has_happened() {
    let (metrics, _) = metrics(&["payments"]);
    let text = metrics.scrape(BEFORE_END).unwrap();
    for line in [
        r#"tenure_is_leader{election="payments"} 0"#,
        r#"tenure_fencing_token{election="payments"} 0"#,
        r#"tenure_lease_valid_seconds{election="payments"} 0"#,
        r#"leader_election_master_status{name="payments"} 0"#,
        "tenure_store_connected 1",
        r#"tenure_build_info{version="0.1.0",store="file"} 1"#,
        r#"tenure_transitions_total{election="payments",to="stepping_down"} 0"#,
        r#"tenure_step_downs_total{election="payments",reason="lease_gone"} 0"#,
        r#"tenure_keepalives_total{election="payments",result="failed"} 0"#,
        r#"tenure_keepalive_duration_seconds_count{election="payments"} 0"#,
        r#"tenure_takeover_duration_seconds_bucket{election="payments",le="60"} 0"#,
    ] {
        assert_line(&text, line);
    }
}

#[test]
fn leadership_is_shown_until_the_claim_ends_and_not_at_its_end_although_nothing_was_published() {
    let (metrics, statuses) = metrics(&["payments", "reports"]);
    lead(&statuses[0]);
    let before = metrics.scrape(BEFORE_END).unwrap();
    assert_line(&before, r#"tenure_is_leader{election="payments"} 1"#);
    assert_line(&before, r#"tenure_is_leader{election="reports"} 0"#);
    assert_line(&before, r#"tenure_fencing_token{election="payments"} 4711"#);
    assert_line(
        &before,
        r#"tenure_lease_valid_seconds{election="payments"} 2.5"#,
    );
    assert_line(
        &before,
        r#"leader_election_master_status{name="payments"} 1"#,
    );
    let at_the_end = metrics.scrape(END).unwrap();
    assert_line(&at_the_end, r#"tenure_is_leader{election="payments"} 0"#);
    assert_line(
        &at_the_end,
        r#"tenure_fencing_token{election="payments"} 0"#,
    );
    assert_line(
        &at_the_end,
        r#"tenure_lease_valid_seconds{election="payments"} 0"#,
    );
}

#[test]
fn only_a_change_from_leader_counts_as_a_step_down() {
    let (metrics, _) = metrics(&["payments"]);
    let recorder = metrics.recorders().next().unwrap();
    for (from, to, reason) in [
        (RoleName::Starting, RoleName::Leader, Reason::Elected),
        (RoleName::Leader, RoleName::SteppingDown, Reason::Shutdown),
        (RoleName::SteppingDown, RoleName::Stopped, Reason::Shutdown),
    ] {
        recorder.transition(&Transition { from, to, reason });
    }
    let text = metrics.scrape(BEFORE_END).unwrap();
    assert_line(
        &text,
        r#"tenure_transitions_total{election="payments",to="stopped"} 1"#,
    );
    assert_line(
        &text,
        r#"tenure_step_downs_total{election="payments",reason="shutdown"} 1"#,
    );
}

#[test]
fn keepalives_and_takeovers_are_counted_and_timed() {
    let (metrics, _) = metrics(&["payments"]);
    let recorder = metrics.recorders().next().unwrap();
    recorder.keepalive(KeepaliveResult::Gone, Duration::from_micros(300));
    recorder.took_over(Duration::from_secs(20));
    let text = metrics.scrape(BEFORE_END).unwrap();
    for line in [
        r#"tenure_keepalives_total{election="payments",result="gone"} 1"#,
        r#"tenure_keepalive_duration_seconds_bucket{election="payments",le="0.00025"} 0"#,
        r#"tenure_keepalive_duration_seconds_bucket{election="payments",le="0.0005"} 1"#,
        r#"tenure_takeover_duration_seconds_sum{election="payments"} 20"#,
    ] {
        assert_line(&text, line);
    }
}

#[test]
fn label_values_are_escaped() {
    let (metrics, _) = metrics(&["a\"b\\c\nd"]);
    let text = metrics.scrape(BEFORE_END).unwrap();
    assert_line(&text, r#"tenure_is_leader{election="a\"b\\c\nd"} 0"#);
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    let (metrics, statuses) = metrics(&["payments", "reports"]);
    lead(&statuses[0]);
    let text = metrics.scrape(BEFORE_END).unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed; Debian's package is prometheus");
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{text}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}
