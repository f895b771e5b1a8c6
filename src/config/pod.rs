//! The settings of what a pod shows of its elections.

use super::build::{choice, text};
use super::env::Env;
use super::error::ConfigError;
use super::settings::Settings;
use crate::election::Timing;
use std::time::Duration;

/// What a pod shows of its elections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodConfig {
    /// The pod's; if it isn't set, that of the service account.
    pub namespace: Option<String>,
    /// The pod's name.
    pub name: String,
    /// A label that says who leads.
    pub label: Option<PodLabel>,
    /// Whether Events tell when this candidate begins and ends to lead.
    pub events: bool,
    /// For each request to the cluster's API.
    pub timeout: Duration,
}

/// A label that says who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLabel {
    /// With [`ELECTION`] in it, where there are several.
    pub(super) key: String,
    /// Its value on the leader.
    pub leader: String,
    /// Its value on others; none where they don't have it.
    pub follower: Option<String>,
}

/// Stands for the election's name.
const ELECTION: &str = "{election}";

/// What Kubernetes allows for a name in a key, and for a value.
const LONGEST: usize = 63;

/// What Kubernetes allows for what stands before the slash in a key.
const LONGEST_PREFIX: usize = 253;

/// A hand-over is not to wait for longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(5);

impl PodLabel {
    /// The key of one election's label; of no two the same.
    pub fn key_of(&self, election: &str) -> String {
        self.key.replace(ELECTION, election)
    }
}

/// What is set, if anything is.
pub(super) fn config(
    settings: &Settings<'_>,
    elections: &[String],
    timing: &Timing,
    env: Env<'_>,
) -> Result<Option<PodConfig>, ConfigError> {
    if !settings.has("kubernetes") {
        return Ok(None);
    }
    let label = label(settings, elections)?;
    let events = choice(
        settings,
        "kubernetes.events",
        &[("false", false), ("true", true)],
    )?;
    if label.is_none() && !events {
        let message = "has nothing to do; set pod_label or events: true, or leave it out";
        return Err(settings.error("kubernetes", message));
    }
    let or_env = |key, variable| {
        let written = text(settings, key)?.map(str::to_owned);
        let given = || env(variable).filter(|value| !value.is_empty());
        Ok(written.or_else(given))
    };
    let key = "kubernetes.pod";
    let missing = "is missing, and POD_NAME isn't set; set that to the pod's name (valueFrom: { fieldRef: { fieldPath: metadata.name } })";
    Ok(Some(PodConfig {
        namespace: or_env("kubernetes.namespace", "POD_NAMESPACE")?,
        name: or_env(key, "POD_NAME")?.ok_or_else(|| settings.error(key, missing))?,
        label,
        events,
        timeout: timing.retry_period().min(LONGEST_TIMEOUT),
    }))
}

fn label(settings: &Settings<'_>, elections: &[String]) -> Result<Option<PodLabel>, ConfigError> {
    if !settings.has("kubernetes.pod_label") {
        return Ok(None);
    }
    let at = "kubernetes.pod_label.key";
    let Some(key) = text(settings, at)? else {
        let message = "is missing; name the label, e.g. key: tenure.dev/role";
        return Err(settings.error(at, message));
    };
    if elections.len() > 1 && !key.contains(ELECTION) {
        let message = format!(
            "{key:?} is one label for {} elections; put {ELECTION} into it, e.g. tenure.dev/{ELECTION}",
            elections.len()
        );
        return Err(settings.error(at, message));
    }
    let label = PodLabel {
        key: key.to_owned(),
        leader: value(settings, "leader")?.unwrap_or_else(|| "leader".to_owned()),
        follower: value(settings, "follower")?,
    };
    if label.follower.as_ref() == Some(&label.leader) {
        let message = "is the leader's value; use another, or leave it out";
        return Err(settings.error("kubernetes.pod_label.follower", message));
    }
    for election in elections {
        let key = label.key_of(election);
        if let Some(fault) = fault_of_key(&key) {
            return Err(settings.error(at, format!("{key:?} {fault}")));
        }
    }
    Ok(Some(label))
}

fn value(settings: &Settings<'_>, name: &str) -> Result<Option<String>, ConfigError> {
    let key = format!("kubernetes.pod_label.{name}");
    let Some(value) = text(settings, &key)? else {
        return Ok(None);
    };
    match fault_of_word(value) {
        None => Ok(Some(value.to_owned())),
        Some(fault) => {
            let message = format!("{value:?} can't be a label's value: it {fault}");
            Err(settings.error(&key, message))
        }
    }
}

/// A name, or a domain, a slash and a name.
fn fault_of_key(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| !is_domain(prefix)) {
        return Some(format!(
            "can't be a label's key: before the slash stands a domain of a-z 0-9 . -, of at most {LONGEST_PREFIX} bytes"
        ));
    }
    fault_of_word(name).map(|fault| format!("can't be a label's key: its name {fault}"))
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        label.starts_with(plain)
            && label.ends_with(plain)
            && label.chars().all(|c| plain(c) || c == '-')
    };
    text.len() <= LONGEST_PREFIX && text.split('.').all(is_label)
}

fn fault_of_word(word: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric();
    if word.len() > LONGEST {
        return Some(format!(
            "is {} bytes long; use at most {LONGEST}",
            word.len()
        ));
    }
    let inner = |c: char| plain(c) || matches!(c, '-' | '_' | '.');
    if !word.starts_with(plain) || !word.ends_with(plain) || !word.chars().all(inner) {
        return Some(
            "has to be of A-Z a-z 0-9 - _ . and begin and end with a letter or digit".into(),
        );
    }
    None
}
