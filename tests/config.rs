//! The config as people write it: what is accepted, what it means, and what is said of mistakes.

#[path = "config/application.rs"]
mod application;
#[path = "config/mistakes.rs"]
mod mistakes;
#[path = "config/pod.rs"]
mod pod;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tenure::config::{
    ApiAddress, Config, ConfigError, EtcdConfig, ExecConfig, FileConfig, HooksConfig, LogConfig,
    LogFormat, OnExit, Readiness, StoreConfig, TlsConfig, report,
};
use tenure::election::{Candidate, Policy, ShutdownWait, Timing};
use tracing::Level;

const MINIMAL: &str = "election: payments\nstore: { file: { directory: /d } }\n";

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

fn env(name: &str) -> Option<String> {
    match name {
        "POD_NAME" => Some("pod-0".to_owned()),
        "POD_IP" => Some("10.0.0.3".to_owned()),
        "YAML" => Some("x, y: [z]\n- \"${POD_NAME}\" # no".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse("c.yaml", text, &[], &env)
}

fn parse_set(text: &str, overrides: &[&str]) -> Result<Config, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|&one| one.to_owned()).collect();
    Config::parse("c.yaml", text, &overrides, &env)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn file_store(directory: &str) -> StoreConfig {
    StoreConfig::File(FileConfig {
        directory: directory.into(),
    })
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name)
}

#[test]
fn an_election_and_a_store_are_enough() {
    let config = parse(MINIMAL).unwrap();
    let expected = Config {
        elections: vec!["payments".to_owned()],
        candidate: Candidate {
            id: "pod-0".to_owned(),
            advertise: None,
        },
        timing: Timing::new(millis(10_000), millis(6666), millis(2000)).unwrap(),
        store: file_store("/d"),
        http: tenure::config::HttpConfig {
            api: ApiAddress::Tcp("127.0.0.1:4040".parse().unwrap()),
            token_file: None,
            tls: None,
            probes: "0.0.0.0:4041".parse().unwrap(),
            probes_tls: None,
        },
        policy: Policy::default(),
        hooks: HooksConfig {
            on_elected: None,
            on_step_down: None,
            on_leader_changed: None,
            timeout: millis(2000),
        },
        health: None,
        exec: ExecConfig {
            on_exit: OnExit::Leave,
            stop_timeout: millis(2834),
        },
        pod: None,
        readiness: Readiness::Participating,
        status_file: None,
        log: LogConfig {
            format: LogFormat::Text,
            level: Level::INFO,
        },
    };
    assert_eq!(config, expected);
}

#[test]
fn the_example_of_the_contract_means_what_it_says() {
    let text = "
elections: [payments, reports]
candidate:
  id: ${POD_NAME}             # default: POD_NAME, then the host's name
  advertise: http://${POD_IP}:8080
lease:
  ttl: 10s
  renew_deadline: 6s          # default: 2/3 of ttl
  retry_period: 2s
store:                        # exactly one
  etcd:
    endpoints: [https://127.0.0.1:2379]
    prefix: /tenure
    username: app
    password_file: /etc/tenure/password
    tls: { ca_file: ca.pem, cert_file: client.pem, key_file: client.key, server_name: etcd.local }
http:
  api: 127.0.0.1:4040         # everything, the changing calls too
  probes: 0.0.0.0:4041        # read-only; for the kubelet and Prometheus
shutdown:
  wait_for: 5s
readiness: leader
log: { format: json, level: debug }
";
    let config = parse(text).unwrap();
    assert_eq!(config.elections, ["payments", "reports"]);
    assert_eq!(config.candidate.id, "pod-0");
    let advertise = config.candidate.advertise.as_deref();
    assert_eq!(advertise, Some("http://10.0.0.3:8080"));
    assert_eq!(config.timing.renew_deadline(), millis(6000));
    let etcd = EtcdConfig {
        endpoints: vec!["https://127.0.0.1:2379".to_owned()],
        prefix: "/tenure/".to_owned(),
        user: Some(("app".to_owned(), "/etc/tenure/password".into())),
        tls: Some(TlsConfig {
            ca_file: Some("ca.pem".into()),
            identity: Some(("client.pem".into(), "client.key".into())),
            server_name: Some("etcd.local".to_owned()),
        }),
    };
    assert_eq!(config.store, StoreConfig::Etcd(etcd));
    assert_eq!(config.policy.shutdown_wait, ShutdownWait::For(millis(5000)));
    assert_eq!(config.readiness, Readiness::Leader);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.level, Level::DEBUG);
}

#[test]
fn an_empty_etcd_section_means_its_defaults() {
    for text in [
        "election: e\nstore: { etcd: {} }",
        "election: e\nstore:\n  etcd:\n",
        "election: e\nstore: { etcd: { endpoints: [\"http://127.0.0.1:2379/\"], prefix: /tenure } }",
    ] {
        let etcd = EtcdConfig {
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            prefix: "/tenure/".to_owned(),
            user: None,
            tls: None,
        };
        assert_eq!(parse(text).unwrap().store, StoreConfig::Etcd(etcd));
    }
}

#[test]
fn the_budget_follows_from_the_ttl_where_only_that_is_set() {
    let config = parse_set(MINIMAL, &["lease.ttl=1m"]).unwrap();
    let timing = Timing::new(millis(60_000), millis(40_000), millis(12_000)).unwrap();
    assert_eq!(config.timing, timing);
}

#[test]
fn the_id_falls_back_to_the_name_of_the_host() {
    let host = rustix::system::uname();
    for pod_name in [None, Some(String::new())] {
        let config = Config::parse("c.yaml", MINIMAL, &[], &|_| pod_name.clone()).unwrap();
        assert_eq!(config.candidate.id, host.nodename().to_str().unwrap());
    }
}

#[test]
fn a_scalar_is_taken_as_it_is_written() {
    for id in [
        "007", "1e3", "1.50", "true", "0x1F", "\"a b\"", "$HOME", "a$$b",
    ] {
        let text = format!("{MINIMAL}candidate: {{ id: {id} }}");
        assert_eq!(parse(&text).unwrap().candidate.id, id.trim_matches('"'));
    }
}

#[test]
fn null_is_as_if_the_key_were_not_there() {
    let config = parse(&format!(
        "{MINIMAL}lease:\ncandidate: {{ id: ~, advertise: }}\n"
    ));
    assert_eq!(config, parse(MINIMAL));
}

#[test]
fn a_variable_brings_in_text_and_no_structure() {
    let text = "elections: [e]\ncandidate: { advertise: \"${A:-d} ${POD_NAME} $${POD_NAME}\" }\nstore: { file: { directory: /d } }";
    let advertise = parse(text).unwrap().candidate.advertise;
    assert_eq!(advertise.as_deref(), Some("d pod-0 ${POD_NAME}"));

    let error = mistakes::refused("elections: [\"${YAML}\"]\nstore: { file: { directory: /d } }");
    assert!(error.starts_with("c.yaml:1:13: elections[0]: "), "{error}");
    let directory = parse("election: e\nstore:\n  file:\n    directory: ${NONE:-/d}").unwrap();
    assert_eq!(directory.store, file_store("/d"));
}

#[test]
fn a_file_from_windows_is_read_like_any_other() {
    let text = format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"));
    assert_eq!(parse(&text), parse(MINIMAL));
    assert_eq!(parse(&format!("---\n{MINIMAL}")), parse(MINIMAL));
}

#[test]
fn overrides_go_over_the_file_in_their_order() {
    let set = |overrides: &[&str]| parse_set(MINIMAL, overrides).unwrap();
    assert_eq!(set(&["candidate.id=b"]).candidate.id, "b");
    assert_eq!(
        set(&["candidate.id=b", "candidate.id=c=d"]).candidate.id,
        "c=d"
    );
    assert_eq!(set(&["candidate.id='*b'"]).candidate.id, "*b");
    assert_eq!(
        set(&["candidate.id=${NONE} # x"]).candidate.id,
        "${NONE} # x"
    );
    assert_eq!(
        set(&["candidate.id=b", "candidate=null"]).candidate.id,
        "pod-0"
    );
    assert_eq!(set(&["elections=[a, b]"]).elections, ["a", "b"]);
    assert_eq!(set(&["elections=[a, b]", "election=c"]).elections, ["c"]);
    assert_eq!(set(&["lease={ttl: 20s}"]).timing.ttl(), millis(20_000));
    assert_eq!(
        set(&["http.api=[::1]:4040"]).http.api.to_string(),
        "[::1]:4040"
    );
    assert_eq!(
        set(&["http.api=localhost:1"]).http.api.to_string(),
        "127.0.0.1:1"
    );

    let moved = set(&["store.file=null", "store.etcd.endpoints=[http://a:2379]"]);
    let StoreConfig::Etcd(etcd) = moved.store else {
        panic!("{:?}", moved.store)
    };
    assert_eq!(etcd.endpoints, ["http://a:2379"]);
}

#[test]
fn an_override_frees_a_value_of_its_variable() {
    let text = "election: ${NONE}\nstore: { file: { directory: /d } }";
    let config = parse_set(text, &["election=payments"]).unwrap();
    assert_eq!(config.elections, ["payments"]);
    assert_eq!(
        parse_set("", &["election=e", "store.file.directory=/d"])
            .unwrap()
            .elections,
        ["e"]
    );
}

#[test]
fn each_election_has_a_status_file_of_its_own() {
    let path = |overrides: &[&str], election: &str| {
        let config = parse_set(MINIMAL, overrides).unwrap();
        config.status_file.unwrap().of(election)
    };
    let one = ["status_file=/run/tenure.json"];
    assert_eq!(path(&one, "payments"), Path::new("/run/tenure.json"));
    let several = [
        "elections=[a, b]",
        "status_file=x/{election}/{election}.json",
    ];
    assert_eq!(path(&several, "a"), Path::new("x/a/a.json"));
    assert_eq!(path(&several, "b"), Path::new("x/b/b.json"));
    assert_eq!(path(&["status_file=/{election}"], "e"), Path::new("/e"));
}

#[test]
fn the_report_is_a_config_that_says_the_same() {
    let texts = [
        MINIMAL.to_owned(),
        "elections: [a, '1e3', 'null', 'true']\nstore: { etcd: {} }\n".to_owned(),
        format!("{MINIMAL}candidate: {{ id: '$${{x}}: # \"y\" \u{85}é~', advertise: 'null' }}").replace('\u{85}', ""),
        format!("{MINIMAL}lease: {{ ttl: 7777ms, renew_deadline: 5s }}\nshutdown: {{ wait_for: 90s }}"),
        format!("{MINIMAL}http: {{ api: \"[::1]:0\", probes: \"[::]:0\" }}\nshutdown: {{ wait_for: none }}"),
        "election: e\nreadiness: leader\nlog: { format: json, level: trace }\nstore: { etcd: { endpoints: ['https://a', 'https://[::1]:1/'], \
         username: u, password_file: ./p, tls: { ca_file: a, cert_file: b, key_file: c, server_name: d } } }"
            .to_owned(),
        "election: e\nstore: { etcd: { endpoints: ['https://a'], tls: {} } }".to_owned(),
        format!("{MINIMAL}http: {{ api: 'unix:/run/t $${{x}}.sock', api_mode: 0660, api_owner: ':5', token_file: t }}"),
        format!("{MINIMAL}http: {{ api: unix:/run/t.sock, api_owner: 0 }}"),
        format!(
            "{MINIMAL}http: {{ api: 0.0.0.0:1, token_file: t, tls: {{ cert_file: a, key_file: b }}, \
             probes_tls: {{ cert_file: c, key_file: d }} }}"
        ),
        "elections: [a, b]\nstatus_file: '/x y/$${z}/{election}'\nstore: { etcd: {} }".to_owned(),
    ];
    for text in texts {
        let config = parse(&text).unwrap();
        let report = report(&config);
        let again = Config::parse("report", &report, &[], &|_| None);
        assert_eq!(again.as_ref(), Ok(&config), "{report}");
    }
}

#[test]
fn the_report_tells_the_budget_in_words() {
    let told = |overrides: &[&str], words: &[&str]| {
        let report = report(&parse_set(MINIMAL, overrides).unwrap());
        for word in words {
            assert!(report.contains(word), "{word}\n{report}");
        }
    };
    told(
        &[],
        &[
            "  renew_deadline: 6666ms\n",
            "a keepalive goes out every 2s: 2 in a row may be lost",
            "stops at the latest 6666ms after it sent",
            "at the earliest 10s after the store received",
            "3334ms in between, of which 500ms are for clock drift and 2.834s to spare",
            "after a crash another leads within 12s: 10s of lease, and up to 2s",
            "handed over immediately where nobody holds a valid_for_ms read on the api, else when that is over, 7166ms at most",
        ],
    );
    let etcd = ["store.file=null", "store.etcd={}"];
    told(
        &etcd,
        &["after a crash another leads within 10500ms: 10s of lease, and up to 500ms"],
    );
    told(
        &[&etcd[..], &["lease.ttl=1200ms"]].concat(),
        &["ttl 1200ms is rounded up to 2s", "within 2500ms"],
    );
    told(
        &[&etcd[..], &["lease.ttl=1s"]].concat(),
        &["etcd grants its own minimum instead, 2s", "within 2500ms"],
    );
    told(&["lease.renew_deadline=6s"], &["every 2s: one may be lost"]);
    told(
        &["lease.renew_deadline=4s"],
        &["every 2s: not one may be lost"],
    );
    told(
        &["shutdown.wait_for=none"],
        &["immediately, as the application is taken to be gone"],
    );
    told(
        &["status_file=/run/{election}.json"],
        &[
            "\nstatus_file: /run/{election}.json\n",
            "takes until the last one that was written is over, 7166ms at most",
        ],
    );
    told(
        &["shutdown.wait_for=5s"],
        &["handed over after 5s, or 7166ms at most"],
    );
}

#[test]
fn a_kubernetes_store_is_in_the_namespace_that_is_said_or_found_by_itself() {
    for (text, namespace) in [("{}", None), ("{ namespace: payments }", Some("payments"))] {
        let text = format!("election: a.b-1\nstore: {{ kubernetes: {text} }}\n");
        let config = parse(&text).unwrap();
        let StoreConfig::Kubernetes(kubernetes) = &config.store else {
            panic!("{config:?}");
        };
        assert_eq!(kubernetes.namespace.as_deref(), namespace);
        // What is printed can be loaded again, and says what it costs.
        let report = report(&config);
        assert_eq!(parse(&report).unwrap(), config, "{report}");
        assert!(
            report.contains("a write every 2s by the leader"),
            "{report}"
        );
    }
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
