//! The verbs that ask a running sidecar, and what they leave as exit status.

use crate::support::http::Client;
use crate::support::process::{Output, Process, run};
use crate::support::sidecar::{RETRY_PERIOD, ROLE_BOUND, Sidecar, Spec, run_tenure, tenure};
use crate::support::{eventually, free_port, let_pass, ms};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn is_leader_exits_with_0_for_the_leader_1_for_a_follower_and_2_where_nobody_answers() {
    let (_directory, a, b) = leader_and_follower();
    for (sidecar, code) in [(&a, 0), (&b, 1)] {
        let output = run_tenure(&["is-leader", "--url", &sidecar.url()]);
        assert_eq!(output.code, Some(code), "{output:?}");
        assert_eq!(output.stdout, "", "it prints nothing");
    }
    let output = run_tenure(&["is-leader", "--url", &nowhere()]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn is_leader_takes_the_url_from_the_environment_and_an_election_by_name() {
    let (_directory, a, _b) = leader_and_follower();
    let by_environment = |arguments: &[&str]| {
        let mut command = tenure();
        command.env("TENURE_URL", a.url()).args(arguments);
        run(&mut command, "cargo builds it").code
    };
    assert_eq!(by_environment(&["is-leader"]), Some(0));
    assert_eq!(
        by_environment(&["is-leader", "--election", "payments"]),
        Some(0)
    );
    let unknown = by_environment(&["is-leader", "--election", "unknown"]);
    assert_eq!(
        unknown,
        Some(2),
        "no answer to what was asked is none of yes and no"
    );
}

#[test]
fn status_shows_who_leads_on_one_screen() {
    let (_directory, a, b) = leader_and_follower();
    for sidecar in [&a, &b] {
        let output = run_tenure(&["status", "--url", &sidecar.url()]);
        assert_eq!(output.code, Some(0), "{output:?}");
        let role = if sidecar.id == "a" {
            "leader"
        } else {
            "follower"
        };
        for word in ["payments", &sidecar.id, role, "file", "http://a.test:8080"] {
            assert!(
                output.stdout.contains(word),
                "no {word} in:\n{}",
                output.stdout
            );
        }
        assert!(output.stdout.lines().count() < 25);
    }
}

#[test]
fn status_as_json_is_what_http_says() {
    let (_directory, a, _b) = leader_and_follower();
    let output = run_tenure(&["status", "--json", "--url", &a.url()]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let status: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(status["id"], "a");
    assert_eq!(status["store"]["kind"], "file");
    assert_eq!(status["store"]["connected"], true);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["elections"][0]["is_leader"], true);
}

#[test]
fn status_exits_with_1_where_no_sidecar_answers() {
    for arguments in [&["status"][..], &["status", "--json"]] {
        let url = nowhere();
        let output = run_tenure(&[arguments, &["--url", &url]].concat());
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(&url), "{output:?}");
    }
}

#[test]
fn resign_exits_with_0_1_where_it_does_not_lead_and_2_where_nobody_answers() {
    let (_directory, a, b) = leader_and_follower();
    let resign = |url: &str, more: &[&str]| run_tenure(&[&["resign", "--url", url], more].concat());
    assert_eq!(resign(&b.url(), &[]).code, Some(1));
    assert_eq!(resign(&nowhere(), &[]).code, Some(2));
    let output = resign(
        &a.url(),
        &["--stopped", "--cooldown", "3s", "--election", "payments"],
    );
    assert_eq!(output.code, Some(0), "{output:?}");
    b.wait_leading(ROLE_BOUND);
    assert_eq!(
        resign(&a.url(), &[]).code,
        Some(1),
        "it has resigned already"
    );
}

#[test]
fn watch_prints_a_line_for_every_change_as_it_happens() {
    let (_directory, mut a, b) = leader_and_follower();
    let log = TempDir::new().unwrap();
    let mut command = tenure();
    command.args(["watch", "--url", &b.url()]);
    let watch = Process::start(
        "watch",
        &mut command,
        &log.path().join("log"),
        "cargo builds it",
    );
    let lines_with = |words: [&str; 2]| {
        let log = watch.log();
        let lines = log.lines();
        lines
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count()
    };
    eventually("a line on the state at first", ROLE_BOUND, || {
        (lines_with(["payments", "follower"]) == 1).then_some(())
    });
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    eventually("a line on the change", ms(1_000), || {
        (lines_with(["payments", "leader"]) >= 1).then_some(())
    });
}

#[test]
fn version_and_help_exit_with_0_and_wrong_usage_with_2() {
    for arguments in [["version"], ["--version"]] {
        let output = run_tenure(&arguments);
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(
            output.stdout.contains(env!("CARGO_PKG_VERSION")),
            "{output:?}"
        );
    }
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["is-leader", "--help"],
    ] {
        let output = run_tenure(arguments);
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stdout.contains("Usage"), "{output:?}");
    }
    for arguments in [&["lead"][..], &[], &["run"], &["status", "--colour"]] {
        let output = run_tenure(arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}: {output:?}");
    }
}

#[test]
fn settings_on_the_command_line_go_over_the_file() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("tenure.yaml");
    let (api, probes) = (free_port(), free_port());
    let spec = Spec::on_files("from-file", &directory.path().join("store"));
    std::fs::write(&config, spec.yaml(free_port(), probes)).unwrap();
    let mut command = tenure();
    command.arg("run").arg("--config").arg(&config).args([
        "--set",
        "candidate.id=from-command-line",
        "--set",
        &format!("http.api=127.0.0.1:{api}"),
    ]);
    let log = directory.path().join("log");
    let _sidecar = Process::start("sidecar", &mut command, &log, "cargo builds it");
    eventually("a leader on the port that was set", ROLE_BOUND, || {
        let answer = Client::new(api, ms(1_000)).get("/leader").ok()?;
        let id = answer.json()["id"].take();
        (answer.status == 200 && id == "from-command-line").then_some(())
    });
}

#[test]
fn a_port_that_is_taken_fails_at_run_time() {
    let directory = TempDir::new().unwrap();
    let a = Spec::on_files("a", directory.path()).start_leading();
    let output: Output = {
        let config = directory.path().join("tenure.yaml");
        let yaml = Spec::on_files("b", directory.path()).yaml(a.api, free_port());
        std::fs::write(&config, yaml).unwrap();
        run_tenure(&["run", "--config", config.to_str().unwrap()])
    };
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains(&a.api.to_string()), "{output:?}");
}

/// `a` leads and `b` follows, in a directory that goes with the test.
#[track_caller]
fn leader_and_follower() -> (TempDir, Sidecar, Sidecar) {
    let directory = TempDir::new().unwrap();
    let a = Spec::on_files("a", directory.path()).start_leading();
    let b = Spec::on_files("b", directory.path()).start_following();
    let_pass(RETRY_PERIOD);
    (directory, a, b)
}

fn nowhere() -> String {
    format!("http://127.0.0.1:{}", free_port())
}
