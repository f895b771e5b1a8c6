//! What `tenure check` prints: the effective config, which can be loaded again, and the time budget in words.

use super::duration::format as short;
use super::env::escape;
use super::{
    ApiAddress, CallConfig, Config, EtcdConfig, HealthConfig, HooksConfig, HttpConfig, LogFormat,
    OnExit, Owner, PodConfig, Readiness, ServerTls, StoreConfig, TlsConfig,
};
use crate::election::{Application, Policy, ShutdownWait, Timing};
use serde_yaml::{Mapping, Value};
use std::path::Path;
use std::time::Duration;

/// etcd looks for leases that have run out this often.
const ETCD_SWEEP: Duration = Duration::from_millis(500);

/// The shortest lease that etcd grants with its default election timeout.
const ETCD_SHORTEST_TTL: Duration = Duration::from_secs(2);

/// The effective config as YAML, and below it, as comments, what it means in time.
pub fn report(config: &Config) -> String {
    let effective = serde_yaml::to_string(&effective(config))
        .unwrap_or_else(|error| format!("# can't be written: {error}\n"));
    let mut text = format!("# the effective config\n{effective}\n# the time budget\n");
    for sentence in budget(config) {
        text.push_str(&format!("# - {sentence}\n"));
    }
    text
}

fn effective(config: &Config) -> Mapping {
    let mut all = Mapping::new();
    match config.elections.as_slice() {
        [one] => put(&mut all, "election", one),
        several => put_list(&mut all, "elections", several),
    }
    put_section(&mut all, "candidate", |section| {
        put(section, "id", &config.candidate.id);
        if let Some(advertise) = &config.candidate.advertise {
            put(section, "advertise", advertise);
        }
    });
    put_section(&mut all, "lease", |section| {
        put(section, "ttl", &short(config.timing.ttl()));
        put(
            section,
            "renew_deadline",
            &short(config.timing.renew_deadline()),
        );
        put(
            section,
            "retry_period",
            &short(config.timing.retry_period()),
        );
        put(
            section,
            "takeover_delay",
            &short(config.policy.takeover_delay),
        );
    });
    put_section(&mut all, "store", |section| match &config.store {
        StoreConfig::Etcd(etcd) => put_section(section, "etcd", |section| put_etcd(section, etcd)),
        StoreConfig::File(file) => put_section(section, "file", |section| {
            put_path(section, "directory", &file.directory);
        }),
        StoreConfig::Kubernetes(kubernetes) => put_section(section, "kubernetes", |section| {
            if let Some(namespace) = &kubernetes.namespace {
                put(section, "namespace", namespace);
            }
        }),
    });
    put_section(&mut all, "http", |section| put_http(section, &config.http));
    put_section(&mut all, "shutdown", |section| {
        put(section, "wait_for", &wait_for(config.policy.shutdown_wait));
        if let ShutdownWait::Application(timeout) = config.policy.shutdown_wait {
            put(section, "timeout", &short(timeout));
        }
    });
    put_section(&mut all, "exec", |section| {
        put(section, "on_exit", on_exit(config.exec.on_exit));
        if !config.exec.stop_timeout.is_zero() {
            put(section, "stop_timeout", &short(config.exec.stop_timeout));
        }
    });
    put_section(&mut all, "hooks", |section| {
        put_hooks(section, &config.hooks)
    });
    if let Some(health) = &config.health {
        put_section(&mut all, "application", |section| {
            put_health(section, health, &config.policy);
        });
    }
    if let Some(pod) = &config.pod {
        put_section(&mut all, "kubernetes", |section| put_pod(section, pod));
    }
    put(&mut all, "readiness", readiness(config.readiness));
    if let Some(status_file) = &config.status_file {
        put(&mut all, "status_file", status_file.as_str());
    }
    put_section(&mut all, "log", |section| {
        put(section, "format", log_format(config.log.format));
        put(section, "level", &config.log.level.as_str().to_lowercase());
    });
    all
}

fn put_http(section: &mut Mapping, http: &HttpConfig) {
    put(section, "api", &http.api.to_string());
    if let ApiAddress::Unix(socket) = &http.api {
        put(section, "api_mode", &format!("{:04o}", socket.mode));
        let id = |id: Option<u32>| id.map_or_else(String::new, |id| id.to_string());
        match socket.owner {
            Owner {
                uid: None,
                gid: None,
            } => {}
            Owner { uid, gid: None } => put(section, "api_owner", &id(uid)),
            Owner { uid, gid } => put(section, "api_owner", &format!("{}:{}", id(uid), id(gid))),
        }
    }
    if let Some(file) = &http.token_file {
        put_path(section, "token_file", file);
    }
    put_server_tls(section, "tls", http.tls.as_ref());
    put(section, "probes", &http.probes.to_string());
    put_server_tls(section, "probes_tls", http.probes_tls.as_ref());
}

fn put_pod(section: &mut Mapping, pod: &PodConfig) {
    if let Some(namespace) = &pod.namespace {
        put(section, "namespace", namespace);
    }
    put(section, "pod", &pod.name);
    if let Some(label) = &pod.label {
        put_section(section, "pod_label", |section| {
            put(section, "key", &label.key);
            put(section, "leader", &label.leader);
            if let Some(follower) = &label.follower {
                put(section, "follower", follower);
            }
        });
    }
    put(section, "events", if pod.events { "true" } else { "false" });
}

fn put_server_tls(section: &mut Mapping, key: &str, tls: Option<&ServerTls>) {
    if let Some(tls) = tls {
        put_section(section, key, |section| {
            put_path(section, "cert_file", &tls.cert_file);
            put_path(section, "key_file", &tls.key_file);
        });
    }
}

fn put_etcd(section: &mut Mapping, etcd: &EtcdConfig) {
    put_list(section, "endpoints", &etcd.endpoints);
    put(section, "prefix", &etcd.prefix);
    if let Some((username, password_file)) = &etcd.user {
        put(section, "username", username);
        put_path(section, "password_file", password_file);
    }
    if let Some(tls) = &etcd.tls {
        put_section(section, "tls", |section| put_tls(section, tls));
    }
}

fn put_tls(section: &mut Mapping, tls: &TlsConfig) {
    if let Some(ca_file) = &tls.ca_file {
        put_path(section, "ca_file", ca_file);
    }
    if let Some((cert_file, key_file)) = &tls.identity {
        put_path(section, "cert_file", cert_file);
        put_path(section, "key_file", key_file);
    }
    if let Some(server_name) = &tls.server_name {
        put(section, "server_name", server_name);
    }
}

fn put_hooks(section: &mut Mapping, hooks: &HooksConfig) {
    let calls = [
        ("on_elected", &hooks.on_elected),
        ("on_step_down", &hooks.on_step_down),
        ("on_leader_changed", &hooks.on_leader_changed),
    ];
    for (key, call) in calls {
        if let Some(call) = call {
            put_call(section, key, call);
        }
    }
    put(section, "timeout", &short(hooks.timeout));
}

fn put_health(section: &mut Mapping, health: &HealthConfig, policy: &Policy) {
    put_call(section, "health", &health.check);
    put(section, "interval", &short(health.interval));
    put(section, "timeout", &short(health.timeout));
    put_number(section, "failure_threshold", health.failure_threshold);
    put_number(section, "success_threshold", health.success_threshold);
    put(section, "startup_grace", &short(health.startup_grace));
    let keeps = if policy.keep_when_alone {
        "keep"
    } else {
        "release"
    };
    put(section, "when_all_unhealthy", keeps);
}

fn put_call(section: &mut Mapping, key: &str, call: &CallConfig) {
    match call {
        CallConfig::Http(url) => put(section, key, url),
        CallConfig::Command(command) => put_list(section, key, command),
    }
}

fn on_exit(on_exit: OnExit) -> &'static str {
    match on_exit {
        OnExit::Leave => "leave",
        OnExit::Rejoin => "rejoin",
    }
}

fn wait_for(wait: ShutdownWait) -> String {
    match wait {
        ShutdownWait::Promise => "promise".to_owned(),
        ShutdownWait::None => "none".to_owned(),
        ShutdownWait::For(time) => short(time),
        ShutdownWait::Application(_) => "application".to_owned(),
    }
}

fn readiness(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Participating => "participating",
        Readiness::Leader => "leader",
    }
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

fn put(section: &mut Mapping, key: &str, value: &str) {
    section.insert(key.into(), escape(value).into());
}

fn put_number(section: &mut Mapping, key: &str, value: u32) {
    section.insert(key.into(), value.into());
}

/// A path was read from UTF-8, so nothing is lost.
fn put_path(section: &mut Mapping, key: &str, path: &Path) {
    put(section, key, &path.to_string_lossy());
}

fn put_list(section: &mut Mapping, key: &str, items: &[String]) {
    let items: Vec<Value> = items.iter().map(|item| escape(item).into()).collect();
    section.insert(key.into(), items.into());
}

fn put_section(around: &mut Mapping, key: &str, fill: impl FnOnce(&mut Mapping)) {
    let mut section = Mapping::new();
    fill(&mut section);
    around.insert(key.into(), section.into());
}

fn budget(config: &Config) -> Vec<String> {
    let (timing, policy) = (&config.timing, &config.policy);
    let mut sentences = vec![
        keepalives(timing),
        leader_stops(timing),
        another_leads(timing),
    ];
    match &config.store {
        StoreConfig::Etcd(_) => sentences.extend(etcd_failover(timing, policy.takeover_delay)),
        StoreConfig::File(_) => sentences.push(file_failover(timing, policy.takeover_delay)),
        StoreConfig::Kubernetes(kubernetes) => {
            sentences.push(kubernetes_failover(timing, policy.takeover_delay));
            sentences.push(kubernetes_cost(timing));
            if kubernetes.namespace.is_none() {
                sentences.push(
                    "the Leases are in the namespace of the pod's service account, or else of the kubeconfig's context"
                        .to_owned(),
                );
            }
        }
    }
    if let Application::Told(timeout) = policy.application {
        sentences.push(hand_over_when_told(timing, timeout));
    } else {
        // A promise is kept a margin longer than it says.
        let longest = timing.renew_deadline() + timing.drift_margin();
        sentences.push(hand_over(longest, policy.shutdown_wait));
        if config.status_file.is_some() {
            sentences.push(format!(
                "what is in a status_file counts as read on the api: so every hand-over that waits for promises takes \
                 until the last one that was written is over, {} at most",
                short(longest)
            ));
        }
    }
    if !policy.deregistration.is_zero() {
        sentences.push(format!(
            "an orderly hand-over waits {} at most for the pod's label to be taken off",
            short(policy.deregistration)
        ));
    }
    if !policy.takeover_delay.is_zero() {
        sentences.push(format!(
            "whoever is not handed the lease in order waits {} before it leads, at its first start too; an orderly \
             hand-over costs no wait",
            short(policy.takeover_delay)
        ));
    }
    sentences.extend(
        config
            .health
            .as_ref()
            .map(|health| unhealthy(health, policy)),
    );
    if config.unfit_for_exec().is_none() {
        sentences.push(command_stops(timing, config.exec.stop_timeout));
    }
    sentences
}

fn keepalives(timing: &Timing) -> String {
    let every = timing.retry_period();
    // Those sent before the deadline of the last one that was answered; the last of them must be answered.
    let tries = (timing.renew_deadline().as_nanos() - 1) / every.as_nanos();
    let lost = match tries {
        0 | 1 => "not one may be lost; a third of renew_deadline or less leaves room".to_owned(),
        2 => "one may be lost".to_owned(),
        more => format!("{} in a row may be lost", more - 1),
    };
    format!("a keepalive goes out every {}: {lost}", short(every))
}

fn leader_stops(timing: &Timing) -> String {
    format!(
        "a leader stops at the latest {} after it sent the last keepalive that was answered",
        short(timing.renew_deadline())
    )
}

fn another_leads(timing: &Timing) -> String {
    let (ttl, deadline) = (timing.ttl(), timing.renew_deadline());
    let margin = timing.drift_margin();
    let spare = (ttl - deadline).saturating_sub(margin);
    format!(
        "another leads at the earliest {} after the store received that keepalive, if this one was cut off or crashed: \
         {} in between, of which {margin:?} are for clock drift and {spare:?} to spare",
        short(ttl),
        short(ttl - deadline),
    )
}

fn etcd_failover(timing: &Timing, delay: Duration) -> Vec<String> {
    let ttl = timing.ttl();
    let whole = Duration::from_secs(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0));
    let granted = whole.max(ETCD_SHORTEST_TTL);
    let mut sentences = Vec::new();
    if whole != ttl {
        sentences.push(format!(
            "etcd counts in whole seconds: ttl {} is rounded up to {}",
            short(ttl),
            short(whole)
        ));
    }
    if granted != whole {
        sentences.push(format!(
            "etcd grants its own minimum instead, {} unless its election timeout was changed",
            short(granted)
        ));
    }
    sentences.push(format!(
        "after a crash another leads within {}: {} of lease, {}up to {} until etcd notices; \
         longer where etcd itself is changing its leader",
        short(granted + delay + ETCD_SWEEP),
        short(granted),
        and(delay),
        short(ETCD_SWEEP)
    ));
    sentences
}

fn file_failover(timing: &Timing, delay: Duration) -> String {
    let (ttl, look) = (timing.ttl(), timing.retry_period());
    format!(
        "after a crash another leads within {}: {} of lease, {}up to {} until it looks again",
        short(ttl + delay + look),
        short(ttl),
        and(delay),
        short(look)
    )
}

fn kubernetes_failover(timing: &Timing, delay: Duration) -> String {
    let (ttl, every) = (timing.ttl(), timing.retry_period());
    let granted = Duration::from_secs(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0));
    format!(
        "after a crash another leads within {}: {} of lease, a Lease counts whole seconds, {}up to {} until the last renewal \
         is seen where watches are silent; it is counted from when it was seen",
        short(granted + delay + every),
        short(granted),
        and(delay),
        short(every)
    )
}

fn kubernetes_cost(timing: &Timing) -> String {
    format!(
        "each election costs the API server a write every {} by the leader, and a read every {0} by each of the others",
        short(timing.retry_period())
    )
}

/// Goes before the last summand.
fn and(delay: Duration) -> String {
    match delay {
        Duration::ZERO => "and ".to_owned(),
        delay => format!("{} of takeover_delay, and ", short(delay)),
    }
}

fn hand_over_when_told(timing: &Timing, timeout: Duration) -> String {
    format!(
        "on shutdown and on resign the lease is handed over as soon as on_step_down has succeeded, for which it has {}; \
         where it fails the lease is not released, and runs out within {}",
        short(timeout),
        short(timing.ttl())
    )
}

fn unhealthy(health: &HealthConfig, policy: &Policy) -> String {
    let (checks, interval) = (health.failure_threshold, health.interval);
    let whoever = if policy.keep_when_alone {
        "where another candidate is queued"
    } else {
        "whether another candidate is queued or not"
    };
    format!(
        "a leader whose application fails gives up within {}, {whoever}: {checks} checks that fail, {} apart, and each \
         takes {} at most",
        short((interval + health.timeout) * checks),
        short(interval),
        short(health.timeout)
    )
}

fn command_stops(timing: &Timing, stop_timeout: Duration) -> String {
    let killed_at = short(timing.ttl() - timing.drift_margin());
    if stop_timeout.is_zero() {
        return format!(
            "with tenure exec the command is killed when the leader stops, at the latest {killed_at} after the last \
             keepalive that was answered: renew_deadline leaves it no time to stop by itself"
        );
    }
    format!(
        "with tenure exec the command gets SIGTERM when the leader stops, and SIGKILL {} later, at the latest {killed_at} \
         after the last keepalive that was answered; the lease is handed over as soon as the command has ended",
        short(stop_timeout)
    )
}

fn hand_over(longest: Duration, wait: ShutdownWait) -> String {
    let longest = short(longest);
    let on_resign = format!(
        "immediately where nobody holds a valid_for_ms read on the api, else when that is over, {longest} at most"
    );
    match wait {
        ShutdownWait::Promise => {
            format!("on shutdown and on resign the lease is handed over {on_resign}")
        }
        ShutdownWait::None => format!(
            "on shutdown the lease is handed over immediately, as the application is taken to be gone; on resign {on_resign}"
        ),
        ShutdownWait::For(time) => format!(
            "on shutdown the lease is handed over after {}, or {longest} at most where a valid_for_ms \
             read on the api lasts longer; on resign {on_resign}",
            short(time)
        ),
        ShutdownWait::Application(timeout) => format!(
            "on shutdown the lease is handed over as soon as the application says or shows that it has stopped, and \
             after {} at the latest, or {longest} where a valid_for_ms read on the api lasts longer; on resign {on_resign}",
            short(timeout)
        ),
    }
}
