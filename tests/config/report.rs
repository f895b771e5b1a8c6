//! The report of what is in effect: it says the same as the config, and tells in words what follows from the budget.

use super::{MINIMAL, parse, parse_set};
use tenure::config::{Config, report};

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
