//! The samples in `config/`: they can be loaded, and the reference shows every key with its default.

use super::{MINIMAL, env, file_store, parse, parse_set};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tenure::config::Config;

/// Every key of the contract that holds a value.
const KEYS: [&str; 50] = [
    "election",
    "elections",
    "candidate.id",
    "candidate.advertise",
    "lease.ttl",
    "lease.renew_deadline",
    "lease.retry_period",
    "lease.takeover_delay",
    "store.etcd.endpoints",
    "store.etcd.prefix",
    "store.etcd.username",
    "store.etcd.password_file",
    "store.etcd.tls.ca_file",
    "store.etcd.tls.cert_file",
    "store.etcd.tls.key_file",
    "store.etcd.tls.server_name",
    "store.file.directory",
    "store.kubernetes.namespace",
    "http.api",
    "http.api_mode",
    "http.api_owner",
    "http.token_file",
    "http.tls.cert_file",
    "http.tls.key_file",
    "http.probes",
    "http.probes_tls.cert_file",
    "http.probes_tls.key_file",
    "shutdown.wait_for",
    "shutdown.timeout",
    "exec.on_exit",
    "exec.stop_timeout",
    "hooks.on_elected",
    "hooks.on_step_down",
    "hooks.on_leader_changed",
    "hooks.timeout",
    "application.health",
    "application.interval",
    "application.timeout",
    "application.failure_threshold",
    "application.success_threshold",
    "application.startup_grace",
    "application.when_all_unhealthy",
    "kubernetes.pod",
    "kubernetes.namespace",
    "kubernetes.pod_label.key",
    "kubernetes.pod_label.leader",
    "kubernetes.pod_label.follower",
    "kubernetes.events",
    "readiness",
    "status_file",
];

/// And of `log`.
const LOG_KEYS: [&str; 2] = ["log.format", "log.level"];

/// Those that have no default, or none where another is left out that has none.
const WITHOUT_DEFAULT: [&str; 36] = [
    "elections",
    "candidate.id",
    "candidate.advertise",
    "store.etcd.username",
    "store.etcd.password_file",
    "store.etcd.tls.ca_file",
    "store.etcd.tls.cert_file",
    "store.etcd.tls.key_file",
    "store.etcd.tls.server_name",
    "store.file.directory",
    "store.kubernetes.namespace",
    "shutdown.timeout",
    "hooks.on_elected",
    "hooks.on_step_down",
    "hooks.on_leader_changed",
    "application.health",
    "application.interval",
    "application.timeout",
    "application.failure_threshold",
    "application.success_threshold",
    "application.startup_grace",
    "application.when_all_unhealthy",
    "http.api_mode",
    "http.api_owner",
    "http.token_file",
    "http.tls.cert_file",
    "http.tls.key_file",
    "http.probes_tls.cert_file",
    "http.probes_tls.key_file",
    "kubernetes.pod",
    "kubernetes.namespace",
    "kubernetes.pod_label.key",
    "kubernetes.pod_label.leader",
    "kubernetes.pod_label.follower",
    "kubernetes.events",
    "status_file",
];

#[test]
fn the_samples_can_be_loaded() {
    let local = Config::load(&sample("local.yaml"), &[], &|_| None).unwrap();
    assert_eq!(local.store, file_store("/tmp/tenure"));
    let elsewhere = Config::load(&sample("local.yaml"), &[], &|_| Some("/x".to_owned()));
    assert_eq!(elsewhere.unwrap().store, file_store("/x"));
    let etcd = Config::load(&sample("etcd.yaml"), &[], &|_| None).unwrap();
    let defaults = parse("election: payments\nstore: { etcd: {} }").unwrap();
    assert_eq!(etcd.store, defaults.store);
}

#[test]
fn the_reference_shows_every_default_as_it_is() {
    let reference = Config::load(&sample("reference.yaml"), &[], &env).unwrap();
    let defaults = parse("election: payments\nstore: { etcd: {} }").unwrap();
    assert_eq!(reference, defaults);

    let text = fs::read_to_string(sample("reference.yaml")).unwrap();
    let shown = keys_in(&text);
    for key in KEYS.into_iter().chain(LOG_KEYS) {
        let live = shown.contains(key);
        assert_eq!(live, !WITHOUT_DEFAULT.contains(&key), "{key}");
    }
}

#[test]
fn the_reference_names_every_key_there_is() {
    let text = fs::read_to_string(sample("reference.yaml")).unwrap();
    let shown = keys_in(&uncommented(&text));
    let known: BTreeSet<String> = KEYS
        .into_iter()
        .chain(LOG_KEYS)
        .map(str::to_owned)
        .collect();
    assert_eq!(shown, known);
    // And each is accepted, with one of those that exclude each other taken out.
    let overrides = [
        "elections=null",
        "election=e",
        "store.file=null",
        "store.kubernetes=null",
        "store.etcd.endpoints=['https://a']",
        "shutdown.wait_for=application",
        "http.api_mode=null",
        "http.api_owner=null",
    ];
    let everything = parse_set(&uncommented(&text), &overrides).unwrap();
    assert_eq!(
        everything.candidate.advertise.as_deref(),
        Some("http://10.0.0.3:8080")
    );
    // What is shown there without being live is the default all the same.
    let live = parse_set(
        MINIMAL,
        &[
            "shutdown.wait_for=application",
            "application.health=http://127.0.0.1:8080/healthz",
        ],
    );
    let live = live.unwrap();
    assert_eq!(everything.health, live.health);
    assert_eq!(
        everything.policy.keep_when_alone,
        live.policy.keep_when_alone
    );
    assert_eq!(everything.policy.shutdown_wait, live.policy.shutdown_wait);
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name)
}

/// With the lines that only lack a comment sign's absence made live.
fn uncommented(text: &str) -> String {
    let is_key = |line: &str| {
        line.split_once(':').is_some_and(|(key, _)| {
            key.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
    };
    text.lines()
        .map(|line| match line.split_once("# ") {
            Some((indent, rest)) if indent.trim().is_empty() && is_key(rest) => {
                format!("{indent}{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect()
}

/// The paths of all keys that hold a value.
fn keys_in(text: &str) -> BTreeSet<String> {
    fn walk(value: &serde_yaml::Value, path: &str, keys: &mut BTreeSet<String>) {
        match value {
            serde_yaml::Value::Mapping(entries) => {
                for (key, value) in entries {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(
                        value,
                        &format!("{path}{dot}{}", key.as_str().expect("a key is text")),
                        keys,
                    );
                }
            }
            serde_yaml::Value::Null => {}
            _ => {
                keys.insert(path.to_owned());
            }
        }
    }
    let mut keys = BTreeSet::new();
    walk(
        &serde_yaml::from_str(text).expect("valid YAML"),
        "",
        &mut keys,
    );
    keys
}
