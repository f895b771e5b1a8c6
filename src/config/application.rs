//! The settings of what is done for the application, and asked of it.

use super::build::{at_most_a_day, choice, duration_at, whole_millis, zero_or_more};
use super::duration::format as short;
use super::error::ConfigError;
use super::settings::Settings;
use super::{CallConfig, Config, ExecConfig, HealthConfig, HooksConfig, OnExit};
use crate::election::{ShutdownWait, Timing};
use hyper::Uri;
use std::time::Duration;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(2);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_STARTUP_GRACE: Duration = Duration::from_secs(30);

/// What is called when something happens.
pub(super) fn hooks(settings: &Settings<'_>, timing: &Timing) -> Result<HooksConfig, ConfigError> {
    let on_step_down = call(settings, "hooks.on_step_down")?;
    let key = "hooks.timeout";
    let timeout = match duration_at(settings, key)? {
        Some(timeout) if on_step_down.is_some() => fits(settings, key, timing, timeout)?,
        Some(timeout) => at_most_a_day(settings, key, timeout)?,
        // Without one to wait for, any will do.
        None if on_step_down.is_none() => timing.retry_period(),
        None => time_to_stop(timing),
    };
    if on_step_down.is_some() && timeout.is_zero() {
        let message = format!(
            "there is no time for it: renew_deadline {} and {} for clock drift fill ttl {}; use a shorter renew_deadline",
            short(timing.renew_deadline()),
            short(timing.drift_margin()),
            short(timing.ttl())
        );
        return Err(settings.error("hooks.on_step_down", message));
    }
    Ok(HooksConfig {
        on_elected: call(settings, "hooks.on_elected")?,
        on_step_down,
        on_leader_changed: call(settings, "hooks.on_leader_changed")?,
        timeout,
    })
}

/// How to know whether the application is healthy.
pub(super) fn health(settings: &Settings<'_>) -> Result<Option<HealthConfig>, ConfigError> {
    let Some(check) = call(settings, "application.health")? else {
        if settings.has("application") {
            let message =
                "is missing; name what to ask, e.g. health: http://127.0.0.1:8080/healthz";
            return Err(settings.error("application.health", message));
        }
        return Ok(None);
    };
    let duration = |key: &str, default| {
        let key = format!("application.{key}");
        let duration = duration_at(settings, &key)?.unwrap_or(default);
        at_most_a_day(settings, &key, duration)
    };
    Ok(Some(HealthConfig {
        check,
        interval: duration("interval", DEFAULT_INTERVAL)?,
        timeout: duration("timeout", DEFAULT_TIMEOUT)?,
        failure_threshold: count(settings, "application.failure_threshold", 3)?,
        success_threshold: count(settings, "application.success_threshold", 1)?,
        startup_grace: startup_grace(settings)?,
    }))
}

/// Whether an unhealthy leader stays where nobody else is queued.
pub(super) fn keep_when_alone(settings: &Settings<'_>) -> Result<bool, ConfigError> {
    let key = "application.when_all_unhealthy";
    let (keep, release) = (("keep", true), ("release", false));
    if !settings.has("store.kubernetes") {
        return choice(settings, key, &[keep, release]);
    }
    let keeps = choice(settings, key, &[release, keep])?;
    if keeps {
        let message = "keep needs a store that knows whether anybody else is queued, and a Lease doesn't tell; write \
                       release, or use store.etcd";
        return Err(settings.error(key, message));
    }
    Ok(false)
}

/// How an application is run while this candidate leads.
pub(super) fn exec(settings: &Settings<'_>, timing: &Timing) -> Result<ExecConfig, ConfigError> {
    let key = "exec.stop_timeout";
    let stop_timeout = match duration_at(settings, key)? {
        Some(timeout) => fits(settings, key, timing, timeout)?,
        None => time_to_stop(timing),
    };
    Ok(ExecConfig {
        on_exit: choice(
            settings,
            "exec.on_exit",
            &[("leave", OnExit::Leave), ("rejoin", OnExit::Rejoin)],
        )?,
        stop_timeout,
    })
}

impl Config {
    /// What `tenure exec` can't do with it, and the remedy.
    pub fn unfit_for_exec(&self) -> Option<&'static str> {
        let wait = self.policy.shutdown_wait;
        if self.elections.len() > 1 {
            Some(
                "exec runs one command for one election; name one election, or run a sidecar for each",
            )
        } else if self.hooks.on_step_down.is_some() {
            Some("exec stops the command itself, with SIGTERM; leave hooks.on_step_down out")
        } else if self.health.is_some() {
            Some(
                "exec runs the command only while leading, so it can't be healthy before; leave application.health and its section out, \
                 and have the command end where it can't go on",
            )
        } else if wait != ShutdownWait::Promise {
            Some("exec waits for the command's end; leave shutdown.wait_for out")
        } else {
            None
        }
    }
}

/// What the budget leaves for stopping the application.
fn time_to_stop(timing: &Timing) -> Duration {
    let margin = timing.drift_margin();
    whole_millis((timing.ttl() - timing.renew_deadline()).saturating_sub(margin))
}

fn fits(
    settings: &Settings<'_>,
    key: &str,
    timing: &Timing,
    timeout: Duration,
) -> Result<Duration, ConfigError> {
    let (ttl, deadline) = (timing.ttl(), timing.renew_deadline());
    let margin = timing.drift_margin();
    if deadline + timeout + margin <= ttl {
        return Ok(timeout);
    }
    let here = match time_to_stop(timing) {
        Duration::ZERO => String::new(),
        most => format!("at most {} here, ", short(most)),
    };
    let message = format!(
        "{} to stop the application + renew_deadline {} + {} for clock drift (ttl/20) exceeds ttl {}; \
         use {here}a shorter renew_deadline, or a longer ttl",
        short(timeout),
        short(deadline),
        short(margin),
        short(ttl),
    );
    Err(settings.error(key, message))
}

fn startup_grace(settings: &Settings<'_>) -> Result<Duration, ConfigError> {
    let key = "application.startup_grace";
    let grace = zero_or_more(settings, key)?.unwrap_or(DEFAULT_STARTUP_GRACE);
    at_most_a_day(settings, key, grace)
}

fn count(settings: &Settings<'_>, key: &str, default: u32) -> Result<u32, ConfigError> {
    let Some(text) = settings.text(key) else {
        return Ok(default);
    };
    match text.parse() {
        Ok(count @ 1..=1000) => Ok(count),
        _ => {
            let message = format!("{text:?} is no number of checks; write one from 1 to 1000");
            Err(settings.error(key, message))
        }
    }
}

/// A URL, or a program with its arguments. There is no shell to take a line apart.
fn call(settings: &Settings<'_>, key: &str) -> Result<Option<CallConfig>, ConfigError> {
    if let Some(command) = settings.list(key) {
        return program(settings, key, command).map(Some);
    }
    let Some(text) = super::build::text(settings, key)? else {
        return Ok(None);
    };
    if text.contains("://") {
        let url = url(text).map_err(|message| settings.error(key, message))?;
        return Ok(Some(CallConfig::Http(url)));
    }
    if text.contains(' ') {
        let items: Vec<&str> = text.split_ascii_whitespace().collect();
        let message = format!(
            "{text:?} is one word to us, no shell takes it apart; write [{}]",
            items.join(", ")
        );
        return Err(settings.error(key, message));
    }
    // Hardly a program's name, and an address all too easily.
    if text
        .split('/')
        .next()
        .is_some_and(|host| host.contains(':'))
    {
        let message = match url(&format!("http://{text}")) {
            Ok(url) => format!("{text:?} has no scheme; write {url}, or [{text:?}] for a program"),
            Err(message) => message,
        };
        return Err(settings.error(key, message));
    }
    Ok(Some(CallConfig::Command(vec![text.to_owned()])))
}

fn program(
    settings: &Settings<'_>,
    key: &str,
    command: &[String],
) -> Result<CallConfig, ConfigError> {
    let Some(program) = command.first() else {
        let message = "is empty; name a program, e.g. [/usr/local/bin/promote]";
        return Err(settings.error(key, message));
    };
    if program.is_empty() {
        return Err(settings.error(&format!("{key}[0]"), "is empty; name a program"));
    }
    if let Some(index) = command.iter().position(|word| word.contains('\0')) {
        let message = "has a NUL in it, which no program can be given; leave it out";
        return Err(settings.error(&format!("{key}[{index}]"), message));
    }
    Ok(CallConfig::Command(command.to_vec()))
}

/// An error shows nothing of one that may hold a password.
fn url(text: &str) -> Result<String, String> {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = after_scheme.split(['/', '?', '#']).next();
    if host.is_some_and(|host| host.contains('@')) {
        return Err("holds a user name or a password; leave them out".to_owned());
    }
    let wrong = |what: &str| format!("{text:?} {what}; write e.g. http://127.0.0.1:8080/elected");
    let uri: Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong(
            "is not an http:// URL: the application is beside the sidecar",
        ));
    }
    let Some(authority) = uri.authority().filter(|at| !at.host().is_empty()) else {
        return Err(wrong("names no host"));
    };
    let has_port = authority.as_str().len() > authority.host().len();
    if has_port && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(wrong("has a port that is none"));
    }
    Ok(text.to_owned())
}
