//! The settings of what is done for the application, and asked of it.

use super::build::{choice, duration_at, whole_millis};
use super::duration::{self, format as short};
use super::error::ConfigError;
use super::settings::Settings;
use super::{CallConfig, ExecConfig, HealthConfig, HooksConfig, OnExit};
use crate::election::Timing;
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
        Some(timeout) => timeout,
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
        duration_at(settings, &key).map(|duration| duration.unwrap_or(default))
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
    choice(settings, key, &[("keep", true), ("release", false)])
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
    let message = format!(
        "{} to stop the application + renew_deadline {} + {} for clock drift (ttl/20) exceeds ttl {}; \
         use at most {} here, a shorter renew_deadline, or a longer ttl",
        short(timeout),
        short(deadline),
        short(margin),
        short(ttl),
        short(time_to_stop(timing))
    );
    Err(settings.error(key, message))
}

fn startup_grace(settings: &Settings<'_>) -> Result<Duration, ConfigError> {
    let key = "application.startup_grace";
    let parsed = settings.text(key).map(duration::parse_or_zero).transpose();
    parsed
        .map(|grace| grace.unwrap_or(DEFAULT_STARTUP_GRACE))
        .map_err(|message| settings.error(key, message))
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
        return match command.first() {
            None => Err(settings.error(
                key,
                "is empty; name a program, e.g. [/usr/local/bin/promote]",
            )),
            Some(program) if program.is_empty() => {
                Err(settings.error(&format!("{key}[0]"), "is empty; name a program"))
            }
            Some(_) => Ok(Some(CallConfig::Command(command.to_vec()))),
        };
    }
    let Some(text) = super::build::text(settings, key)? else {
        return Ok(None);
    };
    if !text.contains("://") {
        if text.contains(' ') {
            let items: Vec<&str> = text.split(' ').collect();
            let message = format!(
                "{text:?} is one word to us, no shell takes it apart; write [{}]",
                items.join(", ")
            );
            return Err(settings.error(key, message));
        }
        return Ok(Some(CallConfig::Command(vec![text.to_owned()])));
    }
    let wrong = |what: &str| {
        // It may hold a password.
        let shown = if text.contains('@') {
            "what is there"
        } else {
            text
        };
        let message = format!("{shown:?} {what}; write e.g. http://127.0.0.1:8080/elected");
        settings.error(key, message)
    };
    let uri: Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong(
            "is not an http:// URL: the application is beside the sidecar",
        ));
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Err(settings.error(key, "holds a user name or a password; leave them out"))
        }
        Some(authority) if !authority.host().is_empty() => {
            Ok(Some(CallConfig::Http(text.to_owned())))
        }
        _ => Err(wrong("names no host")),
    }
}
