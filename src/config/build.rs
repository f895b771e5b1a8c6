//! Makes the config out of the settings: every default is put in here, and every value is checked.

use super::env::Env;
use super::error::ConfigError;
use super::settings::Settings;
use super::{Config, FileConfig, LogConfig, LogFormat, Readiness, StoreConfig};
use super::{DEFAULT_TTL, application, duration, etcd, http, kubernetes, pod, status_file};
use crate::election::{Application, BudgetError, Candidate, Policy, ShutdownWait, Timing};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tracing::Level;

/// The longest name of an election or candidate: what Kubernetes allows for the name of an object.
const LONGEST_NAME: usize = 253;

/// Longer than that nobody waits on purpose.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Less than the thirty seconds that Kubernetes gives a pod to end in.
const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);

/// The effective config.
pub(super) fn config(settings: &Settings<'_>, env: Env<'_>) -> Result<Config, ConfigError> {
    if settings.is_empty() {
        let remedy = "is empty; write at least an election and a store, e.g. \
                      election: payments and store: { file: { directory: /var/lib/tenure } }";
        return Err(settings.error("", remedy));
    }
    let timing = timing(settings)?;
    let hooks = application::hooks(settings, &timing)?;
    let elections = elections(settings)?;
    let pod = pod::config(settings, &elections, &timing, env)?;
    Ok(Config {
        status_file: status_file::config(settings, &elections)?,
        candidate: candidate(settings, env)?,
        timing,
        store: store(settings, &elections)?,
        elections,
        http: http::config(settings)?,
        policy: Policy {
            shutdown_wait: shutdown_wait(settings)?,
            application: match hooks.on_step_down {
                Some(_) => Application::Told(hooks.timeout),
                None => Application::Unattended,
            },
            deregistration: pod
                .as_ref()
                .filter(|pod| pod.label.is_some())
                .map_or(Duration::ZERO, |pod| pod.timeout),
            takeover_delay: takeover_delay(settings)?,
            keep_when_alone: application::keep_when_alone(settings)?,
        },
        hooks,
        health: application::health(settings)?,
        exec: application::exec(settings, &timing)?,
        pod,
        readiness: choice(
            settings,
            "readiness",
            &[
                ("participating", Readiness::Participating),
                ("leader", Readiness::Leader),
            ],
        )?,
        log: LogConfig {
            format: choice(
                settings,
                "log.format",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
            level: choice(
                settings,
                "log.level",
                &[
                    ("info", Level::INFO),
                    ("error", Level::ERROR),
                    ("warn", Level::WARN),
                    ("debug", Level::DEBUG),
                    ("trace", Level::TRACE),
                ],
            )?,
        },
    })
}

/// The text at `key`, which may be left out but not be empty.
pub(super) fn text<'s>(
    settings: &'s Settings<'_>,
    key: &str,
) -> Result<Option<&'s str>, ConfigError> {
    let Some(text) = settings.text(key) else {
        return Ok(None);
    };
    if text.is_empty() {
        return Err(settings.error(key, "is empty; give it a value or leave the key out"));
    }
    if text.chars().any(char::is_control) {
        let message = format!("{text:?} has a control character in it; use printable ones");
        return Err(settings.error(key, message));
    }
    Ok(Some(text))
}

/// The path at `key`.
pub(super) fn path(settings: &Settings<'_>, key: &str) -> Result<Option<PathBuf>, ConfigError> {
    Ok(text(settings, key)?.map(PathBuf::from))
}

fn elections(settings: &Settings<'_>) -> Result<Vec<String>, ConfigError> {
    let name = |key: &str, name: &str| match election_fault(name) {
        Some(message) => Err(settings.error(key, message)),
        None => Ok(name.to_owned()),
    };
    let (one, several) = (settings.text("election"), settings.list("elections"));
    match (one, several) {
        (Some(_), Some(_)) => {
            Err(settings.error("elections", "election is set as well; keep one of the two"))
        }
        (None, None) => Err(settings.error(
            "election",
            "is missing; name the election, e.g. election: payments",
        )),
        (Some(one), None) => Ok(vec![name("election", one)?]),
        (None, Some([])) => Err(settings.error(
            "elections",
            "is empty; name at least one election, e.g. elections: [payments]",
        )),
        (None, Some(several)) => {
            let mut seen = BTreeSet::new();
            for (index, election) in several.iter().enumerate() {
                let key = format!("elections[{index}]");
                name(&key, election)?;
                if !seen.insert(election) {
                    let message = format!("{election:?} stands here twice; keep one");
                    return Err(settings.error(&key, message));
                }
            }
            Ok(several.to_vec())
        }
    }
}

fn election_fault(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        return Some("is empty; name the election, e.g. payments".to_owned());
    }
    if name.len() > LONGEST_NAME {
        let length = name.chars().count();
        return Some(format!(
            "is {length} characters long; use at most {LONGEST_NAME}"
        ));
    }
    let odd = name.chars().find(|c| !allowed(*c))?;
    Some(format!(
        "{name:?} has {odd:?} in it; use only A-Z a-z 0-9 . _ -"
    ))
}

fn candidate(settings: &Settings<'_>, env: Env<'_>) -> Result<Candidate, ConfigError> {
    let key = "candidate.id";
    let id = match text(settings, key)? {
        Some(id) => id.to_owned(),
        None => env("POD_NAME")
            .filter(|name| !name.is_empty())
            .unwrap_or_else(host_name),
    };
    if id.is_empty() || id.chars().any(char::is_control) {
        let message = format!("its default, POD_NAME or the host's name, is {id:?}; set it");
        return Err(settings.error(key, message));
    }
    if id.len() > LONGEST_NAME {
        let message = format!("is {} bytes long; use at most {LONGEST_NAME}", id.len());
        return Err(settings.error(key, message));
    }
    let advertise = text(settings, "candidate.advertise")?.map(str::to_owned);
    Ok(Candidate { id, advertise })
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn timing(settings: &Settings<'_>) -> Result<Timing, ConfigError> {
    let ttl = duration_at(settings, "lease.ttl")?.unwrap_or(DEFAULT_TTL);
    let renew_deadline = duration_at(settings, "lease.renew_deadline")?;
    let retry_period = duration_at(settings, "lease.retry_period")?;
    Timing::new(
        ttl,
        renew_deadline.unwrap_or_else(|| whole_millis(ttl * 2 / 3)),
        retry_period.unwrap_or_else(|| whole_millis(ttl / 5)),
    )
    .map_err(|error| budget_error(settings, &error))
}

/// A budget is blamed on a key that was written: a default follows from another key.
fn budget_error(settings: &Settings<'_>, error: &BudgetError) -> ConfigError {
    let at_fault = format!("lease.{}", error.key());
    if settings.has(&at_fault) {
        return settings.error(&at_fault, error.to_string());
    }
    let is_default = format!(
        "{error} ({} is the default here, and follows from ttl)",
        error.key()
    );
    if at_fault == "lease.retry_period"
        && settings.has("lease.renew_deadline")
        && matches!(error, BudgetError::NoTimeToRetry { .. })
    {
        return settings.error("lease.renew_deadline", is_default);
    }
    settings.error("lease.ttl", is_default)
}

/// So that a default can be written down exactly.
pub(super) fn whole_millis(duration: Duration) -> Duration {
    duration - Duration::from_nanos(u64::from(duration.subsec_nanos()) % 1_000_000)
}

/// How long a claim waits where the former leader may have ended anyhow.
fn takeover_delay(settings: &Settings<'_>) -> Result<Duration, ConfigError> {
    let key = "lease.takeover_delay";
    let delay = zero_or_more(settings, key)?.unwrap_or(Duration::ZERO);
    at_most_a_day(settings, key, delay)
}

pub(super) fn at_most_a_day(
    settings: &Settings<'_>,
    key: &str,
    wait: Duration,
) -> Result<Duration, ConfigError> {
    if wait <= LONGEST_WAIT {
        return Ok(wait);
    }
    let message = format!(
        "{:?} is longer than a day; use at most 24h",
        duration::format(wait)
    );
    Err(settings.error(key, message))
}

/// The duration at `key`, which may be none at all.
pub(super) fn zero_or_more(
    settings: &Settings<'_>,
    key: &str,
) -> Result<Option<Duration>, ConfigError> {
    settings
        .text(key)
        .map(duration::parse_or_zero)
        .transpose()
        .map_err(|message| settings.error(key, message))
}

pub(super) fn duration_at(
    settings: &Settings<'_>,
    key: &str,
) -> Result<Option<Duration>, ConfigError> {
    settings
        .text(key)
        .map(duration::parse)
        .transpose()
        .map_err(|message| settings.error(key, message))
}

fn store(settings: &Settings<'_>, elections: &[String]) -> Result<StoreConfig, ConfigError> {
    let stores = ["etcd", "file", "kubernetes"];
    let is_set = |store: &&str| settings.has(&format!("store.{store}"));
    let set: Vec<&str> = stores.into_iter().filter(is_set).collect();
    match set.as_slice() {
        ["etcd"] => etcd::config(settings).map(StoreConfig::Etcd),
        ["file"] => {
            let key = "store.file.directory";
            let missing = "is missing; name a directory that all candidates of this host share, \
                           e.g. directory: /var/lib/tenure";
            let directory = path(settings, key)?.ok_or_else(|| settings.error(key, missing))?;
            Ok(StoreConfig::File(FileConfig { directory }))
        }
        ["kubernetes"] => kubernetes::config(settings, elections).map(StoreConfig::Kubernetes),
        [one, another, ..] => Err(settings.error(
            "store",
            format!(
                "{one} and {another} are both set; keep one, --set store.{one}=null or store.{another}=null drops the other"
            ),
        )),
        _ => Err(settings.error(
            "store",
            "no store is set; write file: { directory: /var/lib/tenure } below store for one host, \
             etcd: { endpoints: [http://127.0.0.1:2379] }, or kubernetes: {} for Leases of the cluster",
        )),
    }
}

fn shutdown_wait(settings: &Settings<'_>) -> Result<ShutdownWait, ConfigError> {
    let key = "shutdown.wait_for";
    if settings.has("shutdown.timeout") && settings.text(key) != Some("application") {
        let message =
            "counts only where shutdown.wait_for is application; set that, or leave this out";
        return Err(settings.error("shutdown.timeout", message));
    }
    match settings.text(key) {
        None | Some("promise") => Ok(ShutdownWait::Promise),
        Some("none") => Ok(ShutdownWait::None),
        Some("application") => {
            let key = "shutdown.timeout";
            let timeout = duration_at(settings, key)?.unwrap_or(DEFAULT_SHUTDOWN_TIMEOUT);
            at_most_a_day(settings, key, timeout).map(ShutdownWait::Application)
        }
        Some(text) => match duration::parse(text) {
            Ok(wait) => at_most_a_day(settings, key, wait).map(ShutdownWait::For),
            Err(message) => Err(settings.error(
                key,
                format!("{message}; or write promise, none or application"),
            )),
        },
    }
}

/// One of a few words; the first is the default.
pub(super) fn choice<T: Copy>(
    settings: &Settings<'_>,
    key: &str,
    choices: &[(&str, T)],
) -> Result<T, ConfigError> {
    let written = settings.text(key).unwrap_or(choices[0].0);
    let chosen = choices.iter().find(|(word, _)| *word == written);
    chosen.map(|(_, choice)| *choice).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let message = format!(
            "{written:?} is none of its values; use {}",
            words.join(" or ")
        );
        settings.error(key, message)
    })
}
