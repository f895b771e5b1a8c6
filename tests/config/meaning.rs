//! What a config means: what is said in it, and what is not.

use super::{MINIMAL, file_store, millis, parse, parse_set};
use std::path::Path;
use tenure::config::{
    ApiAddress, Config, EtcdConfig, ExecConfig, HooksConfig, HttpConfig, LogConfig, LogFormat,
    OnExit, Readiness, StoreConfig, TlsConfig, report,
};
use tenure::election::{Candidate, Policy, ShutdownWait, Timing};
use tracing::Level;

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
        http: HttpConfig {
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
