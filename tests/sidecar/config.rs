//! Configs that are refused, with where and why; and what `tenure check` says of those that aren't.

use crate::support::process::Output;
use crate::support::sidecar::run_tenure;
use std::fs;
use tempfile::TempDir;

#[test]
fn a_config_without_a_store_is_refused() {
    let text = "election: payments\n";
    refused(text, &["store", "etcd", "file"]);
}

#[test]
fn a_config_with_two_stores_is_refused() {
    let text = "election: payments\n\
                store: { file: { directory: /tmp/x }, etcd: { endpoints: [\"http://127.0.0.1:2379\"] } }\n";
    refused(text, &["store"]);
}

#[test]
fn a_config_without_an_election_is_refused() {
    refused("store: { file: { directory: /tmp/x } }\n", &["election"]);
}

#[test]
fn an_unknown_key_is_refused_with_its_path_line_and_column() {
    let text = format!("{MINIMAL}lease:\n  ttl: 10s\n  renew_deadlin: 5s\n");
    refused(&text, &["lease.renew_deadlin", "tenure.yaml:5:3"]);
}

#[test]
fn a_duration_without_a_unit_is_refused_with_its_path_and_line() {
    let text = format!("{MINIMAL}lease:\n  ttl: 10\n");
    refused(&text, &["lease.ttl", "tenure.yaml:4", "10s"]);
}

#[test]
fn an_impossible_time_budget_is_refused_with_all_the_numbers() {
    let text = format!("{MINIMAL}lease:\n  ttl: 10s\n  renew_deadline: 9900ms\n");
    refused(
        &text,
        &["lease.renew_deadline", "10s", "9.9s", "500ms", "9.5s"],
    );
}

#[test]
fn a_changing_api_on_anything_but_loopback_is_refused() {
    for address in ["0.0.0.0:4040", "10.0.0.1:4040", "[::]:4040"] {
        let text = format!("{MINIMAL}http: {{ api: \"{address}\" }}\n");
        refused(&text, &["http.api", "127.0.0.1"]);
    }
}

#[test]
fn an_election_with_a_slash_in_its_name_is_refused() {
    let text = MINIMAL.replace("payments", "pay/ments");
    refused(&text, &["election", "pay/ments"]);
}

#[test]
fn a_variable_that_is_not_set_is_refused_by_name() {
    let text = format!("{MINIMAL}candidate: {{ id: \"${{NO_SUCH_VARIABLE}}\" }}\n");
    refused(&text, &["candidate.id", "NO_SUCH_VARIABLE"]);
}

#[test]
fn a_file_that_is_not_there_is_refused_by_name() {
    for verb in ["run", "check"] {
        let output = run_tenure(&[verb, "--config", "/no/such/file.yaml"]);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains("/no/such/file.yaml"), "{output:?}");
    }
}

#[test]
fn check_prints_every_default_and_the_time_budget_in_plain_words() {
    let output = check(MINIMAL);
    assert_eq!(output.code, Some(0), "{output:?}");
    let lines = [
        "ttl: 10s",
        "renew_deadline: 6666ms",
        "retry_period: 2s",
        "api: 127.0.0.1:4040",
        "probes: 0.0.0.0:4041",
        "wait_for: promise",
        "readiness: participating",
        "level: info",
    ];
    for line in lines {
        let key = line.split(':').next().unwrap();
        assert!(
            output.stdout.contains(key),
            "no {key} in:\n{}",
            output.stdout
        );
    }
    let budget = output.stdout.to_lowercase();
    for word in ["keepalive", "stops at the latest", "another leads", "crash"] {
        assert!(budget.contains(word), "no {word} in:\n{}", output.stdout);
    }
}

#[test]
fn check_shows_settings_from_the_environment_and_the_command_line_but_no_secret() {
    let text = "election: payments\n\
                candidate: { id: \"${NO_SUCH_VARIABLE:-pod-7}\" }\n\
                store: { etcd: { endpoints: [\"http://127.0.0.1:2379\"] } }\n";
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("tenure.yaml");
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let output = run_tenure(&["check", "--config", config, "--set", "lease.ttl=21s"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    for word in ["pod-7", "21s", "14s", "4200ms"] {
        let also = if word == "4200ms" { "4.2s" } else { word };
        let found = output.stdout.contains(word) || output.stdout.contains(also);
        assert!(found, "no {word} in:\n{}", output.stdout);
    }
}

/// The least that will do.
const MINIMAL: &str =
    "election: payments\nstore: { file: { directory: /tmp/tenure-never-made } }\n";

/// `run` and `check` both exit with 2, and say all these words.
#[track_caller]
fn refused(text: &str, words: &[&str]) {
    for verb in ["run", "check"] {
        let output = with_config(verb, text);
        assert_eq!(output.code, Some(2), "{verb}: {output:?}");
        for word in words {
            assert!(
                output.stderr.contains(word),
                "no {word} in: {}",
                output.stderr
            );
        }
    }
}

#[track_caller]
fn check(text: &str) -> Output {
    with_config("check", text)
}

#[track_caller]
fn with_config(verb: &str, text: &str) -> Output {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("tenure.yaml");
    fs::write(&config, text).unwrap();
    run_tenure(&[verb, "--config", config.to_str().unwrap()])
}
