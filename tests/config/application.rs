//! What is done for the application, and asked of it: hooks, health, the command of `tenure exec`, and waiting.

use super::{MINIMAL, millis, parse, parse_set};
use std::time::Duration;
use tenure::config::{CallConfig, Config, HealthConfig, HooksConfig, OnExit, report};
use tenure::election::{Application, ShutdownWait};

/// Every key, and none with its default.
const EVERYTHING: &str = "
lease: { takeover_delay: 3s }
shutdown: { wait_for: application, timeout: 1m }
exec: { on_exit: rejoin, stop_timeout: 1500ms }
hooks:
  on_elected: http://127.0.0.1:8080/elected?by=tenure
  on_step_down: [/bin/demote, --now, '']
  on_leader_changed: /bin/new-leader
  timeout: 2500ms
application:
  health: http://[::1]/healthz
  interval: 1s
  timeout: 500ms
  failure_threshold: 5
  success_threshold: 2
  startup_grace: 0s
  when_all_unhealthy: release
";

fn set(overrides: &[&str]) -> Config {
    parse_set(MINIMAL, overrides).unwrap_or_else(|error| panic!("{error}"))
}

fn http(url: &str) -> Option<CallConfig> {
    Some(CallConfig::Http(url.to_owned()))
}

fn program(words: &[&str]) -> Option<CallConfig> {
    let words = words.iter().map(|&word| word.to_owned());
    Some(CallConfig::Command(words.collect()))
}

#[test]
fn everything_for_the_application_can_be_set() {
    let config = parse(&format!("{MINIMAL}{EVERYTHING}")).unwrap();
    assert_eq!(config.policy.takeover_delay, millis(3_000));
    assert_eq!(
        config.policy.shutdown_wait,
        ShutdownWait::Application(millis(60_000))
    );
    assert_eq!(config.policy.application, Application::Told(millis(2_500)));
    assert!(!config.policy.keep_when_alone);
    assert_eq!(config.exec.on_exit, OnExit::Rejoin);
    assert_eq!(config.exec.stop_timeout, millis(1_500));
    let hooks = HooksConfig {
        on_elected: http("http://127.0.0.1:8080/elected?by=tenure"),
        on_step_down: program(&["/bin/demote", "--now", ""]),
        on_leader_changed: program(&["/bin/new-leader"]),
        timeout: millis(2_500),
    };
    assert_eq!(config.hooks, hooks);
    let health = HealthConfig {
        check: CallConfig::Http("http://[::1]/healthz".to_owned()),
        interval: millis(1_000),
        timeout: millis(500),
        failure_threshold: 5,
        success_threshold: 2,
        startup_grace: Duration::ZERO,
    };
    assert_eq!(config.health, Some(health));
}

#[test]
fn a_check_is_all_that_health_needs() {
    let config = set(&["application.health=http://127.0.0.1:8080/healthz"]);
    let health = HealthConfig {
        check: CallConfig::Http("http://127.0.0.1:8080/healthz".to_owned()),
        interval: millis(2_000),
        timeout: millis(1_000),
        failure_threshold: 3,
        success_threshold: 1,
        startup_grace: millis(30_000),
    };
    assert_eq!(config.health, Some(health));
    assert!(config.policy.keep_when_alone);
    assert_eq!(set(&["application=null"]).health, None);
}

#[test]
fn an_unhealthy_leader_gives_up_where_the_store_cannot_tell_whether_anybody_waits() {
    let text =
        "election: e\nstore: { kubernetes: {} }\napplication: { health: http://127.0.0.1/ }\n";
    assert!(!parse(text).unwrap().policy.keep_when_alone);
    let error = parse_set(text, &["application.when_all_unhealthy=keep"]).unwrap_err();
    assert!(error.to_string().contains("write release"), "{error}");
}

#[test]
fn an_application_is_waited_for_less_long_than_a_pod_has_to_end() {
    let wait = set(&["shutdown.wait_for=application"]).policy.shutdown_wait;
    assert_eq!(wait, ShutdownWait::Application(millis(25_000)));
}

#[test]
fn the_time_to_stop_is_what_the_budget_leaves() {
    let hook = "hooks.on_step_down=/bin/true";
    // ttl − renew_deadline − ttl/20, in whole milliseconds.
    for (lease, left) in [
        ("lease={ttl: 10s}", 2_834),
        ("lease={ttl: 60s}", 17_000),
        ("lease={ttl: 10s, renew_deadline: 6s}", 3_500),
        ("lease={ttl: 7777ms, renew_deadline: 5s}", 2_388),
        ("lease={ttl: 10s, renew_deadline: 9499ms}", 1),
    ] {
        let config = set(&[lease, hook]);
        assert_eq!(config.exec.stop_timeout, millis(left), "{lease}");
        assert_eq!(config.hooks.timeout, millis(left), "{lease}");
        assert_eq!(
            config.policy.application,
            Application::Told(millis(left)),
            "{lease}"
        );
        let all = format!("hooks.timeout={left}ms");
        let stop = format!("exec.stop_timeout={left}ms");
        assert_eq!(set(&[lease, hook, &all, &stop]), config, "{lease}");
    }
    // Nobody waits for the others.
    let config = set(&["hooks.on_elected=/bin/true", "lease.ttl=60s"]);
    assert_eq!(config.hooks.timeout, millis(12_000));
    assert_eq!(config.policy.application, Application::Unattended);
    let config = set(&["hooks.on_elected=/bin/true", "hooks.timeout=5m"]);
    assert_eq!(config.hooks.timeout, millis(300_000));
    // A command that is killed at once is one that can be run.
    let none_left = set(&["lease.renew_deadline=9500ms"]);
    assert_eq!(none_left.exec.stop_timeout, Duration::ZERO);
}

#[test]
fn a_call_is_a_url_or_a_program_also_on_the_command_line() {
    for (written, expected) in [
        (
            "http://127.0.0.1:8080/elected",
            http("http://127.0.0.1:8080/elected"),
        ),
        ("HTTP://a", http("HTTP://a")),
        ("http://a/x@y", http("http://a/x@y")),
        ("'http://[::1]:1/'", http("http://[::1]:1/")),
        ("/bin/promote", program(&["/bin/promote"])),
        ("\"/bin/pro mote\"", None),
        ("/bin/at-8:30", program(&["/bin/at-8:30"])),
        ("['at:8']", program(&["at:8"])),
        ("[/bin/promote]", program(&["/bin/promote"])),
        ("['/bin/pro mote']", program(&["/bin/pro mote"])),
        (
            "[sh, -c, 'a; b=\"$c\"']",
            program(&["sh", "-c", "a; b=\"$c\""]),
        ),
        ("[\"http://a\"]", program(&["http://a"])),
        ("[a, 007, true, '']", program(&["a", "007", "true", ""])),
    ] {
        let in_file = parse(&format!("{MINIMAL}hooks: {{ on_elected: {written} }}"));
        let on_command_line = parse_set(MINIMAL, &[&format!("hooks.on_elected={written}")]);
        assert_eq!(on_command_line.is_ok(), expected.is_some(), "{written}");
        assert_eq!(in_file.is_ok(), expected.is_some(), "{written}");
        for config in [in_file, on_command_line].into_iter().flatten() {
            assert_eq!(config.hooks.on_elected, expected, "{written}");
        }
    }
    let replaced = ["hooks.on_elected=[a, b]", "hooks.on_elected=http://a"];
    assert_eq!(set(&replaced).hooks.on_elected, http("http://a"));
    let dropped = ["hooks.on_elected=[a, b]", "hooks=null"];
    assert_eq!(set(&dropped), parse(MINIMAL).unwrap());
}

#[test]
fn a_variable_in_a_program_is_one_word_of_it() {
    let text = format!("{MINIMAL}hooks: {{ on_elected: [echo, \"${{YAML}}\", '$${{x}}'] }}");
    let hook = parse(&text).unwrap().hooks.on_elected;
    let yaml = "x, y: [z]\n- \"${POD_NAME}\" # no";
    assert_eq!(hook, program(&["echo", yaml, "${x}"]));
}

#[test]
fn the_report_of_what_is_done_for_the_application_says_the_same() {
    let texts = [
        format!("{MINIMAL}{EVERYTHING}"),
        format!("{MINIMAL}hooks: {{ on_step_down: http://a }}"),
        format!("{MINIMAL}hooks: {{ timeout: 90s }}\nexec: {{ stop_timeout: 1ms }}"),
        format!("{MINIMAL}lease: {{ renew_deadline: 9500ms, takeover_delay: 0s }}"),
        format!(
            "{MINIMAL}application: {{ health: [sh, -c, \"a\\n\\tb \\n\\n\", '$${{x}}', '', ' ', 'null', \"\\x01\"] }}"
        ),
    ];
    for text in texts {
        let config = parse(&text).unwrap();
        let report = report(&config);
        let again = Config::parse("report", &report, &[], &|_| None);
        assert_eq!(again.as_ref(), Ok(&config), "{report}");
    }
}

#[test]
fn the_report_tells_what_is_done_for_the_application_in_words() {
    let told = |overrides: &[&str], words: &[&str], unsaid: &[&str]| {
        let report = report(&set(overrides));
        for word in words {
            assert!(report.contains(word), "{word}\n{report}");
        }
        for word in unsaid {
            assert!(!report.contains(word), "{word}\n{report}");
        }
    };
    let exec = "with tenure exec the command ";
    told(
        &[],
        &[
            "gets SIGTERM when the leader stops, and SIGKILL 2834ms later, at the latest 9500ms after the last keepalive",
            "handed over as soon as the command has ended",
        ],
        &[
            "takeover_delay,",
            "on_step_down",
            "# - a leader whose application",
        ],
    );
    told(
        &["lease.renew_deadline=9500ms"],
        &["the command is killed when the leader stops, at the latest 9500ms after"],
        &["SIGKILL"],
    );
    // Said to nobody whose config it can't be run with.
    told(&["elections=[a, b]"], &[], &[exec]);
    told(
        &["hooks.on_step_down=http://a", "status_file=/s"],
        &[
            "as soon as on_step_down has succeeded, for which it has 2834ms; where it fails the lease is not released, \
             and runs out within 10s",
        ],
        &[exec, "valid_for_ms", "status_file counts"],
    );
    told(
        &["shutdown.wait_for=application"],
        &[
            "as soon as the application says or shows that it has stopped, and after 25s at the latest, or 7166ms where",
        ],
        &[exec],
    );
    told(
        &["lease.takeover_delay=5s"],
        &[
            "another leads within 17s: 10s of lease, 5s of takeover_delay, and up to 2s",
            "waits 5s before it leads, at its first start too",
        ],
        &[],
    );
    told(
        &[
            "lease.takeover_delay=5s",
            "store.file=null",
            "store.etcd={}",
        ],
        &["within 15500ms: 10s of lease, 5s of takeover_delay, and up to 500ms"],
        &[],
    );
    told(
        &["application.health=http://a"],
        &[
            "gives up within 9s, where another candidate is queued: 3 checks that fail, 2s apart, and each takes 1s at most",
        ],
        &[exec],
    );
    told(
        &[
            "application.health=http://a",
            "application.when_all_unhealthy=release",
        ],
        &["within 9s, whether another candidate is queued or not"],
        &[],
    );
}
