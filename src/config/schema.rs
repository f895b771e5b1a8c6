//! The keys that a config may have, as paths such as `lease.ttl`; all else is a mistake.

/// What stands at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Keys.
    Section,
    /// A scalar, taken as it is written: `007` and `1e3` are names, not numbers.
    Text,
    /// A list of scalars, and how one looks.
    List(&'static str),
    /// What is called: an `http://` URL, or a program with its arguments.
    Call,
}

use Shape::{Call, List, Section, Text};

/// Every key; a section before what it holds.
const KEYS: [(&str, Shape); 69] = [
    ("election", Text),
    ("elections", List("[payments, reports]")),
    ("candidate", Section),
    ("candidate.id", Text),
    ("candidate.advertise", Text),
    ("lease", Section),
    ("lease.ttl", Text),
    ("lease.renew_deadline", Text),
    ("lease.retry_period", Text),
    ("lease.takeover_delay", Text),
    ("store", Section),
    ("store.etcd", Section),
    ("store.etcd.endpoints", List("[http://127.0.0.1:2379]")),
    ("store.etcd.prefix", Text),
    ("store.etcd.username", Text),
    ("store.etcd.password_file", Text),
    ("store.etcd.tls", Section),
    ("store.etcd.tls.ca_file", Text),
    ("store.etcd.tls.cert_file", Text),
    ("store.etcd.tls.key_file", Text),
    ("store.etcd.tls.server_name", Text),
    ("store.file", Section),
    ("store.file.directory", Text),
    ("store.kubernetes", Section),
    ("store.kubernetes.namespace", Text),
    ("http", Section),
    ("http.api", Text),
    ("http.api_mode", Text),
    ("http.api_owner", Text),
    ("http.token_file", Text),
    ("http.tls", Section),
    ("http.tls.cert_file", Text),
    ("http.tls.key_file", Text),
    ("http.probes", Text),
    ("http.probes_tls", Section),
    ("http.probes_tls.cert_file", Text),
    ("http.probes_tls.key_file", Text),
    ("shutdown", Section),
    ("shutdown.wait_for", Text),
    ("shutdown.timeout", Text),
    ("exec", Section),
    ("exec.on_exit", Text),
    ("exec.stop_timeout", Text),
    ("hooks", Section),
    ("hooks.on_elected", Call),
    ("hooks.on_step_down", Call),
    ("hooks.on_leader_changed", Call),
    ("hooks.timeout", Text),
    ("application", Section),
    ("application.health", Call),
    ("application.interval", Text),
    ("application.timeout", Text),
    ("application.failure_threshold", Text),
    ("application.success_threshold", Text),
    ("application.startup_grace", Text),
    ("application.when_all_unhealthy", Text),
    ("kubernetes", Section),
    ("kubernetes.namespace", Text),
    ("kubernetes.pod", Text),
    ("kubernetes.pod_label", Section),
    ("kubernetes.pod_label.key", Text),
    ("kubernetes.pod_label.leader", Text),
    ("kubernetes.pod_label.follower", Text),
    ("kubernetes.events", Text),
    ("readiness", Text),
    ("status_file", Text),
    ("log", Section),
    ("log.format", Text),
    ("log.level", Text),
];

/// What belongs at `key`, if it is one; the empty key is the whole config.
pub(super) fn shape(key: &str) -> Option<Shape> {
    if key.is_empty() {
        return Some(Section);
    }
    KEYS.iter()
        .find(|(known, _)| *known == key)
        .map(|(_, shape)| *shape)
}

/// The key of `name` within `section`.
pub(super) fn child(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

/// The section that `key` is in, or that the list is in of which it is an item.
pub(super) fn parent(key: &str) -> &str {
    match key.rfind(['.', '[']) {
        Some(end) => &key[..end],
        None => "",
    }
}

/// The names of the keys in `section`, as people would list them.
pub(super) fn names_in(section: &str) -> String {
    let names: Vec<&str> = KEYS
        .iter()
        .filter(|(key, _)| parent(key) == section)
        .map(|(key, _)| name(key))
        .collect();
    names.join(", ")
}

/// What is wrong with a key that is none, and what was meant.
pub(super) fn unknown(key: &str) -> String {
    let section = parent(key);
    let place = if section.is_empty() {
        "the top level"
    } else {
        section
    };
    let known = match names_in(section) {
        names if names.is_empty() => format!("{place} is no section"),
        names => format!("{place} has {names}"),
    };
    match nearest(key) {
        Some(near) => format!("unknown key; did you mean {near}? {known}"),
        None => format!("unknown key; {known}"),
    }
}

/// The known key that looks most like `key`, a neighbour where several do.
fn nearest(key: &str) -> Option<&'static str> {
    let written = plain(name(key));
    let tolerated = (written.len() / 3).max(1);
    KEYS.iter()
        .map(|(known, _)| {
            let elsewhere = parent(known) != parent(key);
            (distance(&plain(name(known)), &written), elsewhere, *known)
        })
        .min()
        .filter(|(distance, ..)| *distance <= tolerated)
        .map(|(.., known)| known)
}

/// The last part of a key.
fn name(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Without what only tells one spelling from another: `renewDeadline`, `renew-deadline`.
fn plain(name: &str) -> String {
    name.replace(['_', '-'], "").to_lowercase()
}

/// How many characters have to be added, dropped or replaced to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}
