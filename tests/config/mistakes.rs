//! Mistakes in a config: what is said of them, and where.

use super::{MINIMAL, env, parse, parse_set, refused};
use std::fs;
use std::path::PathBuf;
use tenure::config::Config;

#[test]
fn a_mistake_in_the_file_is_named_with_its_place_its_key_and_the_remedy() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &str)] = &[
        // Elections.
        ("", "c.yaml: is empty", "write at least an election and a store"),
        ("# nothing\n", "c.yaml: is empty", "election: payments"),
        ("store: { etcd: {} }", "c.yaml: election: is missing", "e.g. election: payments"),
        ("election: a/b", "c.yaml:1:11: election: \"a/b\" has '/' in it", "A-Z a-z 0-9 . _ -"),
        ("election: ''", "c.yaml:1:11: election: is empty", "e.g. payments"),
        ("election: é", "c.yaml:1:11: election: \"é\" has 'é'", "use only"),
        ("election: [a]", "c.yaml:1:11: election: invalid type: sequence", "expected one value"),
        ("election: { a: b }", "c.yaml:1:11: election: invalid type: map", "expected one value"),
        ("elections: a", "c.yaml:1:12: elections: invalid type: string \"a\"", "a list such as [payments, reports]"),
        ("elections: { a: b }", "c.yaml:1:12: elections: invalid type: map", "a list such as"),
        ("elections: []", "c.yaml:1:12: elections: is empty", "at least one"),
        ("elections:\n  - a\n  - b\n  - a\n", "c.yaml:4:5: elections[2]: \"a\" stands here twice", "keep one"),
        ("elections: [a, [b]]", "c.yaml:1:16: elections[1]: invalid type: sequence", "expected one value"),
        ("election: a\nelections: [b]", "c.yaml:2:12: elections: election is set as well", "keep one"),
        // The candidate.
        ("election: e\ncandidate:\n  id: \"\"\n", "c.yaml:3:7: candidate.id: is empty", "leave the key out"),
        ("election: e\ncandidate: { id: \"a\\tb\" }\n", "c.yaml:2:18: candidate.id: \"a\\tb\" has a control character", "printable"),
        ("election: e\ncandidate:\n  advertise: ''\n", "c.yaml:3:14: candidate.advertise: is empty", "leave the key out"),
        // Durations and the budget.
        ("election: e\nlease:\n\n  ttl: 10 parsecs\n", "c.yaml:4:8: lease.ttl: \"10 parsecs\" is not a duration", "e.g. 500ms, 10s or 2m"),
        ("election: e\nlease: { ttl: 10 }\n", "c.yaml:2:15: lease.ttl: \"10\" has no unit", "write 10s"),
        ("election: e\nlease: { ttl: 0s }\n", "c.yaml:2:15: lease.ttl: \"0s\" is no time at all", "10s"),
        ("election: e\nlease: { ttl: 1.5s }\n", "c.yaml:2:15: lease.ttl: \"1.5s\" is not a duration", "whole numbers"),
        ("election: e\nlease: 10s\n", "c.yaml:2:8: lease: invalid type: string \"10s\"", "the keys ttl, renew_deadline, retry_period"),
        ("election: e\nlease: [10s]\n", "c.yaml:2:8: lease: invalid type: sequence", "the keys ttl"),
        ("election: e\nlease:\n  ttl: 10s\n  renew_deadline: 9900ms\n", "c.yaml:4:19: lease.renew_deadline: renew_deadline 9.9s + 500ms", "at most 9.5s"),
        ("election: e\nlease:\n  renew_deadline: 6s\n  retry_period: 6s\n", "c.yaml:4:17: lease.retry_period: retry_period 6s", "use less than renew_deadline"),
        ("election: e\nlease:\n  renew_deadline: 1s\n", "c.yaml:3:19: lease.renew_deadline: retry_period 2s", "retry_period is the default here"),
        ("election: e\nlease:\n  ttl: 20ms\n", "c.yaml:3:8: lease.ttl: retry_period 4ms is too short", "retry_period is the default here"),
        ("election: e\nlease: { ttl: 25h }", "c.yaml:2:15: lease.ttl: ttl 90000s is longer than a day", "use at most"),
        ("election: e\nlease: { renew_deadline: 5000000000h }", "c.yaml:2:26: lease.renew_deadline: ", "use a renew_deadline of at most"),
        // The status file.
        ("elections: [a, b]\nstatus_file: /run/t.json\nstore: { etcd: {} }", "c.yaml:2:14: status_file: \"/run/t.json\" is one file for 2 elections", "put {election} into it"),
        ("election: e\nstatus_file: /run/\nstore: { etcd: {} }", "c.yaml:2:14: status_file: \"/run/\" names no file", "/run/tenure/{election}.json"),
        ("election: e\nstatus_file: ..\nstore: { etcd: {} }", "c.yaml:2:14: status_file: \"..\" names no file", "write e.g."),
        ("election: e\nstatus_file: ''\nstore: { etcd: {} }", "c.yaml:2:14: status_file: is empty", "leave the key out"),
        // The pod.
        ("election: e\nkubernetes: {}\nstore: { etcd: {} }", "c.yaml:2:1: kubernetes: has nothing to do", "set pod_label or events: true"),
        ("election: e\nkubernetes: { events: maybe }\nstore: { etcd: {} }", "c.yaml:2:23: kubernetes.events: \"maybe\" is none", "false or true"),
        ("election: e\nkubernetes: { pod: p, pod_label: {} }\nstore: { etcd: {} }", "c.yaml:2:23: kubernetes.pod_label.key: is missing", "key: tenure.dev/role"),
        ("elections: [a, b]\nkubernetes: { pod: p, pod_label: { key: k } }\nstore: { etcd: {} }", "c.yaml:2:41: kubernetes.pod_label.key: \"k\" is one label for 2 elections", "tenure.dev/{election}"),
        ("elections: [a, b_]\nkubernetes: { pod: p, pod_label: { key: \"x/{election}\" } }\nstore: { etcd: {} }", "c.yaml:2:41: kubernetes.pod_label.key: \"x/b_\" can't be a label's key: its name", "end with a letter or digit"),
        ("election: e\nkubernetes: { pod: p, pod_label: { key: Tenure.dev/role } }\nstore: { etcd: {} }", "c.yaml:2:41: kubernetes.pod_label.key: \"Tenure.dev/role\" can't be", "a domain of a-z 0-9"),
        ("election: e\nkubernetes: { pod: p, pod_label: { key: a/b/c } }\nstore: { etcd: {} }", "c.yaml:2:41: kubernetes.pod_label.key: \"a/b/c\" can't be", "A-Z a-z 0-9 - _ ."),
        ("election: e\nkubernetes: { pod: p, pod_label: { key: k, leader: -x } }\nstore: { etcd: {} }", "c.yaml:2:52: kubernetes.pod_label.leader: \"-x\" can't be a label's value", "begin and end"),
        ("election: e\nkubernetes: { pod: p, pod_label: { key: k, follower: leader } }\nstore: { etcd: {} }", "c.yaml:2:54: kubernetes.pod_label.follower: is the leader's value", "use another"),
        // Keys.
        ("election: e\nlease:\n  tll: 10s\n", "c.yaml:3:3: lease.tll: unknown key", "did you mean lease.ttl? lease has ttl, renew_deadline, retry_period"),
        ("election: e\nttl: 10s\n", "c.yaml:2:1: ttl: unknown key", "did you mean lease.ttl?"),
        ("election: e\nlease: { renewDeadline: 6s }\n", "c.yaml:2:10: lease.renewDeadline: unknown key", "did you mean lease.renew_deadline?"),
        ("election: e\nfoo: bar\n", "c.yaml:2:1: foo: unknown key", "the top level has election, elections, candidate"),
        ("election: e\n\"lease.ttl\": 10s\n", "c.yaml:2:1: lease.ttl: dots are for --set", "below its section's name"),
        ("election: e\nelection: f\n", "c.yaml:2:1: election: stands here twice", "keep one"),
        ("election: e\nlease: { ttl: 1s }\nhttp: {}\nlease: {}\n", "c.yaml:4:1: lease: stands here twice", "keep one"),
        ("a: &a { ttl: 10s }\nlease: { <<: *a }", "c.yaml:1:1: a: unknown key", "the top level"),
        ("lease: { <<: { ttl: 10s } }", "c.yaml:1:10: lease.<<: unknown key", "lease has ttl"),
        ("? [a]\n: b\n", "c.yaml:1:3: is no config", "write the keys election"),
        ("s3cret", "c.yaml:1:1: is no config", "write the keys election, elections"),
        ("[a]", "c.yaml:1:1: is no config", "write the keys election"),
        // Variables.
        ("election: e\ncandidate:\n  advertise: http://${NONE}:80\n", "c.yaml:3:14: candidate.advertise: NONE is not set", "write ${NONE:-default}"),
        ("elections:\n  - a\n  - ${NONE}\n", "c.yaml:3:5: elections[1]: NONE is not set", "set it"),
        ("election: a${b\n", "c.yaml:1:11: election: \"${b\" has no closing brace", "write ${NAME}"),
        ("election: ${a-b}\n", "c.yaml:1:11: election: \"${a-b}\" names no variable", "${NAME:-default}"),
        ("elections: [${POD_NAME}]\n", "c.yaml:1:", "write \"${NAME}\" in quotes"),
        // YAML itself.
        ("election: e\nlease:\n  ttl: [", "c.yaml:3:", "expected one value"),
        ("election: e\n\tlease: x\n", "c.yaml:2:1: found a tab character that violates indentation", ""),
        ("election: \"a", "c.yaml:", "found unexpected end of stream"),
        ("election: *a", "c.yaml:1:11: unknown anchor", ""),
        ("election: e\n---\nelection: f\n", "c.yaml: holds more than one document", "keep one"),
        ("election: a\0b", "c.yaml:", "control characters are not allowed"),
        // Words.
        ("readiness: maybe", "c.yaml:1:12: readiness: \"maybe\" is none of its values", "use participating or leader"),
        ("log: { format: xml }", "c.yaml:1:16: log.format: \"xml\" is none", "use text or json"),
        ("log:\n  level: warning\n", "c.yaml:2:10: log.level: \"warning\" is none", "use info or error or warn or debug or trace"),
        ("shutdown: { wait_for: promises }", "c.yaml:1:23: shutdown.wait_for: \"promises\" is not a duration", "or write promise, none or application"),
        ("shutdown: { wait_for: 0s }", "c.yaml:1:23: shutdown.wait_for: \"0s\" is no time at all", "or write promise, none or application"),
        ("shutdown: { wait_for: 25h }", "c.yaml:1:23: shutdown.wait_for: \"25h\" is longer than a day", "at most 24h"),
    ];
    for (text, place, remedy) in table {
        // What is checked before must be right: an election and a store are added where none is meant.
        let mut text = (*text).to_owned();
        if ["readiness", "log:", "shutdown"]
            .iter()
            .any(|key| text.starts_with(key))
        {
            text.push_str("\nelection: e\nstore: { file: { directory: /d } }");
        }
        let error = refused(&text);
        assert!(error.starts_with(place), "{text}\n{error}\n{place}");
        assert!(error.contains(remedy), "{text}\n{error}\n{remedy}");
        assert!(!error.contains("s3cret"), "{error}");
        assert!(!error.contains('\n') && !error.ends_with('.'), "{error}");
    }
}

#[test]
fn an_election_that_no_lease_can_be_named_after_is_refused_with_the_kubernetes_store_alone() {
    for name in ["Payments", "a_b", "-a", "a-", "a..b", ".a", "a."] {
        let error = refused(&format!("election: {name}\nstore: {{ kubernetes: {{}} }}"));
        let place = format!("c.yaml:1:11: election: {name:?} can't be the name of a Lease");
        assert!(error.starts_with(&place), "{error}");
        parse(&format!("election: {name}\nstore: {{ etcd: {{}} }}")).unwrap();
    }
    let error = refused("elections: [a, b_c]\nstore: { kubernetes: {} }");
    assert!(error.starts_with("c.yaml:1:16: elections[1]: "), "{error}");
}

#[test]
fn a_mistake_in_a_store_is_named_with_its_place_its_key_and_the_remedy() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &str)] = &[
        ("{}", "c.yaml:2:1: store: no store is set", "write file: { directory: /var/lib/tenure }"),
        ("{ etcd: {}, file: { directory: /d } }", "c.yaml:2:1: store: etcd and file are both set", "keep one"),
        ("{ kubernetes: { namespace: Default } }", "c.yaml:2:35: store.kubernetes.namespace: \"Default\" can't be", "at most 63 of a-z 0-9 and -"),
        ("{ kubernetes: {}, etcd: {} }", "c.yaml:2:1: store: etcd and kubernetes are both set", "--set store.etcd=null or store.kubernetes=null"),
        ("{ redis: {} }", "c.yaml:2:10: store.redis: unknown key", "store has etcd, file, kubernetes"),
        ("etcd", "c.yaml:2:8: store: invalid type: string \"etcd\"", "the keys etcd, file, kubernetes"),
        ("{ file: {} }", "c.yaml:2:10: store.file.directory: is missing", "/var/lib/tenure"),
        ("{ file: { directory: '' } }", "c.yaml:2:29: store.file.directory: is empty", ""),
        ("{ file: { dir: /d } }", "c.yaml:2:18: store.file.dir: unknown key", "store.file has directory"),
        ("{ etcd: { endpoints: [] } }", "c.yaml:2:29: store.etcd.endpoints: is empty", "[http://127.0.0.1:2379]"),
        ("{ etcd: { endpoints: http://a } }", "c.yaml:2:29: store.etcd.endpoints: invalid type", "a list such as [http://127.0.0.1:2379]"),
        ("{ etcd: { endpoints: [http://a, b] } }", "c.yaml:2:40: store.etcd.endpoints[1]: \"b\" starts with neither http:// nor https://", "http://127.0.0.1:2379"),
        ("{ etcd: { endpoints: ['ftp://a'] } }", "c.yaml:2:30: store.etcd.endpoints[0]: \"ftp://a\" starts with neither", "http://"),
        ("{ etcd: { endpoints: ['http://'] } }", "c.yaml:2:30: store.etcd.endpoints[0]: \"http://\" ", "write e.g."),
        ("{ etcd: { endpoints: ['http://:1'] } }", "c.yaml:2:30: store.etcd.endpoints[0]: \"http://:1\" ", "write e.g."),
        ("{ etcd: { endpoints: ['http://a:99999'] } }", "c.yaml:2:30: store.etcd.endpoints[0]: ", "write e.g."),
        ("{ etcd: { endpoints: ['http://a:'] } }", "c.yaml:2:30: store.etcd.endpoints[0]: ", "write e.g."),
        ("{ etcd: { endpoints: ['http://a/b'] } }", "c.yaml:2:30: store.etcd.endpoints[0]: \"http://a/b\" has a path", "write e.g."),
        ("{ etcd: { endpoints: ['http://a b'] } }", "c.yaml:2:30: store.etcd.endpoints[0]: \"http://a b\" is not an URL", "write e.g."),
        ("{ etcd: { endpoints: ['http://a,http://b'] } }", "c.yaml:2:30: store.etcd.endpoints[0]: ", "write e.g."),
        ("{ etcd: { prefix: '' } }", "c.yaml:2:26: store.etcd.prefix: is empty", "leave the key out"),
        ("{ etcd: { username: app } }", "c.yaml:2:28: store.etcd.username: is set without password_file", "set both or neither"),
        ("{ etcd: { password_file: /p } }", "c.yaml:2:33: store.etcd.password_file: is set without username", "set both or neither"),
        ("{ etcd: { password: x } }", "c.yaml:2:18: store.etcd.password: unknown key", "password_file"),
        ("{ etcd: { endpoints: ['https://a'], tls: { cert_file: c } } }", "c.yaml:2:62: store.etcd.tls.cert_file: is set without key_file", "set both or neither"),
        ("{ etcd: { endpoints: ['https://a'], tls: { key_file: k } } }", "c.yaml:2:61: store.etcd.tls.key_file: is set without cert_file", "set both or neither"),
        ("{ etcd: { endpoints: ['https://a', 'http://b'], tls: {} } }", "c.yaml:2:43: store.etcd.endpoints[1]: http://b is not encrypted", "write https:// or leave tls out"),
        ("{ etcd: { endpoints: ['https://a', 'http://b'], username: u, password_file: p } }", "c.yaml:2:43: store.etcd.endpoints[1]: http://b is not encrypted, and would be sent the password", "write https:// for all"),
        ("{ etcd: { tls: { ca_file: ca.pem } } }", "c.yaml:2:10: store.etcd.endpoints[0]: http://127.0.0.1:2379 is not encrypted", "https://"),
    ];
    for (store, place, remedy) in table {
        let error = refused(&format!("election: e\nstore: {store}\n"));
        assert!(error.starts_with(place), "{store}\n{error}\n{place}");
        assert!(error.contains(remedy), "{store}\n{error}\n{remedy}");
    }
}

#[test]
fn a_mistake_in_what_is_done_for_the_application_is_named_with_its_place_its_key_and_the_remedy() {
    const TOO_LONG: &str = "3s to stop the application + renew_deadline 6666ms + 500ms for clock drift (ttl/20) exceeds ttl 10s; \
         use at most 2834ms here, a shorter renew_deadline, or a longer ttl";
    #[rustfmt::skip]
    let table: &[(&str, &str, &str)] = &[
        // The time budget.
        ("exec: { stop_timeout: 3s }", "3:23: exec.stop_timeout: 3s to stop", TOO_LONG),
        ("hooks: { on_step_down: /d, timeout: 3s }", "3:37: hooks.timeout: 3s to stop", TOO_LONG),
        ("lease: { renew_deadline: 9500ms }\nhooks: { on_step_down: /d }", "4:24: hooks.on_step_down: there is no time for it: renew_deadline 9500ms and 500ms for clock drift fill ttl 10s", "use a shorter renew_deadline"),
        ("lease: { renew_deadline: 9500ms }\nhooks: { on_step_down: /d, timeout: 1ms }", "4:37: hooks.timeout: 1ms to stop", "exceeds ttl 10s; use a shorter renew_deadline, or a longer ttl"),
        ("lease: { renew_deadline: 9500ms }\nexec: { stop_timeout: 1ms }", "4:23: exec.stop_timeout: 1ms to stop", "use a shorter renew_deadline"),
        ("exec: { stop_timeout: 0s }", "3:23: exec.stop_timeout: \"0s\" is no time at all", "10s"),
        ("exec: { on_exit: restart }", "3:18: exec.on_exit: \"restart\" is none of its values", "use leave or rejoin"),
        ("exec: { command: [a] }", "3:9: exec.command: unknown key", "exec has on_exit, stop_timeout"),
        // The delay.
        ("lease: { takeover_delay: soon }", "3:26: lease.takeover_delay: \"soon\" is not a duration", "e.g. 500ms, 10s or 2m"),
        ("lease: { takeover_delay: 5 }", "3:26: lease.takeover_delay: \"5\" has no unit", "write 5s"),
        ("lease: { takeover_delay: -5s }", "3:26: lease.takeover_delay: \"-5s\" is not a duration", "whole numbers"),
        ("lease: { takeover_delay: 25h }", "3:26: lease.takeover_delay: \"25h\" is longer than a day", "at most 24h"),
        // Shutting down.
        ("shutdown: { timeout: 5s }", "3:22: shutdown.timeout: counts only where shutdown.wait_for is application", "leave this out"),
        ("shutdown: { wait_for: 5s, timeout: 5s }", "3:36: shutdown.timeout: counts only", "set that"),
        ("shutdown: { wait_for: application, timeout: 0s }", "3:45: shutdown.timeout: \"0s\" is no time at all", "10s"),
        ("shutdown: { wait_for: application, timeout: 25h }", "3:45: shutdown.timeout: \"25h\" is longer than a day", "at most 24h"),
        // Calls.
        ("hooks: { on_elected: promote --now }", "3:22: hooks.on_elected: \"promote --now\" is one word to us", "write [promote, --now]"),
        ("hooks: { on_elected: '/bin/a  b' }", "3:22: hooks.on_elected: \"/bin/a  b\" is one word", "write [/bin/a, b]"),
        ("hooks: { on_elected: '127.0.0.1:8080/healthz' }", "3:22: hooks.on_elected: \"127.0.0.1:8080/healthz\" has no scheme", "write http://127.0.0.1:8080/healthz, or [\"127.0.0.1:8080/healthz\"] for a program"),
        ("hooks: { on_elected: 'localhost:80' }", "3:22: hooks.on_elected: \"localhost:80\" has no scheme", "write http://localhost:80, or"),
        ("hooks: { on_elected: '[::1]:80/' }", "3:22: hooks.on_elected: \"[::1]:80/\" has no scheme", "write http://[::1]:80/, or"),
        ("hooks: { on_elected: ':80/' }", "3:22: hooks.on_elected: \"http://:80/\" ", "write e.g."),
        ("hooks: { on_elected: 'a:b/' }", "3:22: hooks.on_elected: \"http://a:b/\" ", "write e.g."),
        ("hooks: { on_elected: 'u:s3cret@a/' }", "3:22: hooks.on_elected: holds a user name or a password", "leave them out"),
        ("hooks: { on_elected: https://a/b }", "3:22: hooks.on_elected: \"https://a/b\" is not an http:// URL: the application is beside the sidecar", "write e.g. http://127.0.0.1:8080/elected"),
        ("hooks: { on_elected: 'ftp://a' }", "3:22: hooks.on_elected: \"ftp://a\" is not an http:// URL", "write e.g."),
        ("hooks: { on_elected: 'http://' }", "3:22: hooks.on_elected: \"http://\" ", "write e.g."),
        ("hooks: { on_elected: 'http://:80/' }", "3:22: hooks.on_elected: \"http://:80/\" ", "write e.g."),
        ("hooks: { on_elected: 'http://a b' }", "3:22: hooks.on_elected: \"http://a b\" is not a URL", "write e.g."),
        ("hooks: { on_elected: 'http://a:99999/' }", "3:22: hooks.on_elected: \"http://a:99999/\" ", "write e.g."),
        ("hooks: { on_elected: 'http://a:0/' }", "3:22: hooks.on_elected: \"http://a:0/\" has a port that is none", "write e.g."),
        ("hooks: { on_elected: 'http://a:/' }", "3:22: hooks.on_elected: \"http://a:/\" has a port that is none", "write e.g."),
        ("hooks: { on_elected: 'http://u:s3cret@a/' }", "3:22: hooks.on_elected: holds a user name or a password", "leave them out"),
        ("hooks: { on_elected: 'https://u:s3cret@a/' }", "3:22: hooks.on_elected: holds a user name or a password", "leave them out"),
        ("hooks: { on_elected: 'http://u:s3cret@a b/' }", "3:22: hooks.on_elected: holds a user name or a password", "leave them out"),
        ("hooks: { on_elected: [] }", "3:22: hooks.on_elected: is empty", "name a program, e.g. [/usr/local/bin/promote]"),
        ("hooks: { on_elected: ['', a] }", "3:23: hooks.on_elected[0]: is empty", "name a program"),
        ("hooks: { on_elected: [a, \"b\\0\"] }", "3:26: hooks.on_elected[1]: has a NUL in it", "leave it out"),
        ("hooks: { on_elected: '' }", "3:22: hooks.on_elected: is empty", "leave the key out"),
        ("hooks: { on_elected: \"a\\n\" }", "3:22: hooks.on_elected: \"a\\n\" has a control character", "printable"),
        ("hooks: { on_elected: { url: a } }", "3:22: hooks.on_elected: invalid type: map", "an http:// URL, or a program with its arguments as a list"),
        ("hooks: { on_elected: [a, [b]] }", "3:26: hooks.on_elected[1]: invalid type: sequence", "expected one value"),
        ("hooks: { on_elected: [a, \"${NONE}\"] }", "3:26: hooks.on_elected[1]: NONE is not set", "set it"),
        ("hooks: { on_elect: a }", "3:10: hooks.on_elect: unknown key", "did you mean hooks.on_elected?"),
        ("hooks: { timeout: 25h }", "3:19: hooks.timeout: \"25h\" is longer than a day", "at most 24h"),
        ("hooks: http://a", "3:8: hooks: invalid type: string \"http://a\"", "the keys on_elected, on_step_down, on_leader_changed, timeout"),
        // Health.
        ("application: {}", "3:1: application.health: is missing", "e.g. health: http://127.0.0.1:8080/healthz"),
        ("application: { interval: 1s }", "3:1: application.health: is missing", "name what to ask"),
        ("application:\n  health: 127.0.0.1:8080/healthz", "4:11: application.health: \"127.0.0.1:8080/healthz\" has no scheme", "write http://127.0.0.1:8080/healthz"),
        ("application: { health: /h, failure_threshold: 0 }", "3:47: application.failure_threshold: \"0\" is no number of checks", "write one from 1 to 1000"),
        ("application: { health: /h, success_threshold: 0 }", "3:47: application.success_threshold: \"0\" is no number of checks", "write one from 1 to 1000"),
        ("application: { health: /h, success_threshold: 1001 }", "3:47: application.success_threshold: \"1001\" is no number", "from 1 to 1000"),
        ("application: { health: /h, success_threshold: two }", "3:47: application.success_threshold: \"two\" is no number", "from 1 to 1000"),
        ("application: { health: /h, interval: 0s }", "3:38: application.interval: \"0s\" is no time at all", "10s"),
        ("application: { health: /h, interval: 25h }", "3:38: application.interval: \"25h\" is longer than a day", "at most 24h"),
        ("application: { health: /h, timeout: 0s }", "3:37: application.timeout: \"0s\" is no time at all", "10s"),
        ("application: { health: /h, startup_grace: -1s }", "3:43: application.startup_grace: \"-1s\" is not a duration", "10s"),
        ("application: { health: /h, when_all_unhealthy: resign }", "3:48: application.when_all_unhealthy: \"resign\" is none", "use keep or release"),
        ("application: http://a", "3:14: application: invalid type: string \"http://a\"", "the keys health, interval"),
    ];
    for (text, place, remedy) in table {
        let error = refused(&format!("{MINIMAL}{text}\n"));
        let place = format!("c.yaml:{place}");
        assert!(error.starts_with(&place), "{text}\n{error}\n{place}");
        assert!(error.contains(remedy), "{text}\n{error}\n{remedy}");
        assert!(!error.contains("s3cret"), "{error}");
        assert!(!error.contains('\n') && !error.ends_with('.'), "{error}");
    }
}

#[test]
fn a_mistake_in_an_address_is_named_with_its_place_its_key_and_the_remedy() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &str)] = &[
        ("{ api: 4040 }", "c.yaml:3:14: http.api: \"4040\" is not an address", "write IP:PORT, e.g. 127.0.0.1:4040"),
        ("{ api: example.org:80 }", "c.yaml:3:14: http.api: \"example.org:80\" is not an address", "IP:PORT"),
        ("{ api: localhost:x }", "c.yaml:3:14: http.api: \"localhost:x\" is not an address", "IP:PORT"),
        ("{ api: 127.0.0.1:70000 }", "c.yaml:3:14: http.api: ", "IP:PORT"),
        ("{ api: 0.0.0.0:4040 }", "c.yaml:3:14: http.api: 0.0.0.0:4040 can be reached from other hosts", "use a loopback address, e.g. 127.0.0.1:4040"),
        ("{ api: \"[::]:1\" }", "c.yaml:3:14: http.api: [::]:1 can be reached", "127.0.0.1:1"),
        ("{ api: 10.0.0.1:1 }", "c.yaml:3:14: http.api: 10.0.0.1:1 can be reached", "127.0.0.1:1"),
        ("{ api: 127.0.0.1:4041 }", "c.yaml:3:14: http.api: api 127.0.0.1:4041 and probes 0.0.0.0:4041 take the same port", "use two ports"),
        ("{ probes: 127.0.0.1:4040 }", "c.yaml:3:17: http.probes: api 127.0.0.1:4040 and probes 127.0.0.1:4040", "use two ports"),
        ("{ probes: \"[::]:4040\" }", "c.yaml:3:17: http.probes: ", "use two ports"),
        ("{ api: \"[::1]:1\", probes: \"[::1]:1\" }", "c.yaml:3:33: http.probes: ", "use two ports"),
        ("{ api: 0.0.0.0:1, token_file: t }", "c.yaml:3:14: http.api: 0.0.0.0:1 can be reached", "set both http.tls and http.token_file"),
        ("{ api: 0.0.0.0:1, tls: { cert_file: c, key_file: k } }", "c.yaml:3:14: http.api: 0.0.0.0:1 can be reached", "set both http.tls and http.token_file"),
        ("{ api: 'unix:' }", "c.yaml:3:14: http.api: \"\" is not the absolute path of a socket", "unix:/run/tenure/api.sock"),
        ("{ api: unix:api.sock }", "c.yaml:3:14: http.api: \"api.sock\" is not the absolute path", "unix:/run/tenure/api.sock"),
        ("{ api: unix:/run/ }", "c.yaml:3:14: http.api: \"/run/\" is not the absolute path", "unix:/run/tenure/api.sock"),
        ("{ api: unix:/s, tls: { cert_file: c, key_file: k } }", "c.yaml:3:23: http.tls: a Unix socket doesn't leave this host", "leave tls out"),
        ("{ api_mode: 0660 }", "c.yaml:3:19: http.api_mode: is for a Unix socket only", "leave this out"),
        ("{ api_owner: 0 }", "c.yaml:3:20: http.api_owner: is for a Unix socket only", "leave this out"),
        ("{ api: unix:/s, api_mode: rw }", "c.yaml:3:33: http.api_mode: \"rw\" is no mode", "\"0660\""),
        ("{ api: unix:/s, api_mode: 0888 }", "c.yaml:3:33: http.api_mode: ", "\"0660\""),
        ("{ api: unix:/s, api_mode: 1777 }", "c.yaml:3:33: http.api_mode: ", "\"0660\""),
        ("{ api: unix:/s, api_owner: tenure }", "c.yaml:3:34: http.api_owner: \"tenure\" is not of the form", "use numbers"),
        ("{ api: unix:/s, api_owner: '1:' }", "c.yaml:3:34: http.api_owner: ", "use numbers"),
        ("{ api: unix:/s, api_owner: ':' }", "c.yaml:3:34: http.api_owner: ", "use numbers"),
        ("{ api: unix:/s, api_owner: '4294967295' }", "c.yaml:3:34: http.api_owner: ", "use numbers"),
        ("{ tls: { cert_file: c } }", "c.yaml:3:9: http.tls.key_file: is missing", "needs both cert_file and key_file"),
        ("{ probes_tls: {} }", "c.yaml:3:9: http.probes_tls.cert_file: is missing", "needs both cert_file and key_file"),
        ("{ token: x }", "c.yaml:3:9: http.token: unknown key", "token_file"),
        ("{ token_file: '' }", "c.yaml:3:21: http.token_file: is empty", "leave the key out"),
    ];
    for (http, place, remedy) in table {
        let error = refused(&format!("{MINIMAL}http: {http}\n"));
        assert!(error.starts_with(place), "{http}\n{error}\n{place}");
        assert!(error.contains(remedy), "{http}\n{error}\n{remedy}");
    }
    for http in [
        "{ api: 127.0.0.1:0, probes: 127.0.0.1:0 }",
        "{ api: \"[::1]:1\", probes: 0.0.0.0:1 }",
        "{ api: 127.0.0.1:1, probes: 127.0.0.2:1 }",
        "{ api: 127.1.2.3:1, probes: 10.0.0.1:1 }",
        "{ api: \"[::ffff:127.0.0.1]:1\" }",
        "{ api: unix:/run/tenure.sock, probes: 0.0.0.0:4040 }",
        "{ api: 0.0.0.0:1, token_file: t, tls: { cert_file: c, key_file: k } }",
    ] {
        parse(&format!("{MINIMAL}http: {http}\n")).unwrap();
    }
}

#[test]
fn a_mistake_in_an_override_is_named_with_the_override_and_the_remedy() {
    #[rustfmt::skip]
    let table = [
        ("lease.ttl", "--set lease.ttl: has no value", "write --set KEY=VALUE"),
        ("=x", "--set : unknown key", "the top level has election"),
        ("lease.tll=10s", "--set lease.tll: unknown key", "did you mean lease.ttl?"),
        ("elections.0=x", "--set elections.0: unknown key", "elections is no section"),
        ("lease.ttl=10 parsecs", "--set lease.ttl: \"10 parsecs\" is not a duration", "e.g. 500ms"),
        ("lease.ttl=10", "--set lease.ttl: \"10\" has no unit", "10s"),
        ("lease={ttl: x}", "--set lease: lease.ttl: \"x\" is not a duration", "e.g. 500ms"),
        ("lease={tll: x}", "--set lease: lease.tll: unknown key", "lease.ttl"),
        ("lease=10s", "--set lease: invalid type: string \"10s\"", "the keys ttl"),
        ("candidate.id=", "--set candidate.id: is empty", "leave the key out"),
        ("candidate.id='x", "--set candidate.id: found unexpected end of stream", ""),
        ("elections=a", "--set elections: invalid type: string \"a\"", "a list such as"),
        ("elections=[a,a]", "--set elections: elections[1]: \"a\" stands here twice", "keep one"),
        ("election=a/b", "--set election: \"a/b\" has '/' in it", "use only"),
        ("election=null", "c.yaml: election: is missing", "e.g. election: payments"),
        ("hooks.on_elected=", "--set hooks.on_elected: is empty", "leave the key out"),
        ("hooks.on_elected=a b", "--set hooks.on_elected: \"a b\" is one word to us", "write [a, b]"),
        ("hooks.on_elected=[]", "--set hooks.on_elected: is empty", "name a program"),
        ("hooks.on_elected=['', a]", "--set hooks.on_elected: hooks.on_elected[0]: is empty", "name a program"),
        ("hooks.on_elected=[a", "--set hooks.on_elected: ", ""),
        ("hooks.on_elected=127.0.0.1:80/x", "--set hooks.on_elected: \"127.0.0.1:80/x\" has no scheme", "write http://127.0.0.1:80/x, or"),
        ("hooks.on_elected=https://a", "--set hooks.on_elected: \"https://a\" is not an http:// URL", "write e.g."),
        ("exec.stop_timeout=3s", "--set exec.stop_timeout: 3s to stop the application", "use at most 2834ms here"),
        ("application.interval=1s", "--set application.interval: application.health: is missing", "name what to ask"),
        ("shutdown.timeout=5s", "--set shutdown.timeout: counts only where", "leave this out"),
        ("store.kubernetes.namespace=x", "c.yaml:2:1: store: file and kubernetes are both set", "store.file=null"),
        ("store.etcd.prefix=x", "c.yaml:2:1: store: etcd and file are both set", "--set store.etcd=null"),
    ];
    for (assignment, place, remedy) in table {
        let error = parse_set(MINIMAL, &[assignment])
            .expect_err(assignment)
            .to_string();
        assert!(error.starts_with(place), "{assignment}\n{error}\n{place}");
        assert!(error.contains(remedy), "{assignment}\n{error}\n{remedy}");
    }
}

#[test]
fn names_may_be_as_long_as_kubernetes_allows() {
    let named = |length: usize| {
        format!(
            "election: {}\nstore: {{ etcd: {{}} }}\n",
            "e".repeat(length)
        )
    };
    parse(&named(253)).unwrap();
    let error = refused(&named(254));
    assert!(
        error.contains("is 254 characters long; use at most 253"),
        "{error}"
    );

    let id = "é".repeat(127);
    let error = parse_set(MINIMAL, &[&format!("candidate.id={id}")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--set candidate.id: is 254 bytes long; use at most 253"
    );
}

#[test]
fn a_password_in_an_url_is_refused_and_never_shown() {
    let text =
        "election: e\nstore:\n  etcd:\n    endpoints:\n      - http://user:s3cret@host:2379\n";
    let error = refused(text);
    assert!(
        error.starts_with("c.yaml:5:9: store.etcd.endpoints[0]: "),
        "{error}"
    );
    assert!(
        error.contains("use store.etcd.username and password_file"),
        "{error}"
    );
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn what_is_no_config_file_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let table = [
        (directory.path().join("none.yaml"), "no such file"),
        (directory.path().to_owned(), "is a directory"),
        (write("empty.yaml", b""), "is empty"),
        (
            write("latin1.yaml", b"election: e\nx: \xe9\n"),
            ":2:4: is not UTF-8",
        ),
        (
            write("large.yaml", &vec![b'#'; 1024 * 1024 + 1]),
            "is larger than 1048576 bytes",
        ),
        (PathBuf::from("/dev/zero"), "is larger than 1048576 bytes"),
    ];
    for (path, reason) in table {
        let error = Config::load(&path, &[], &env).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    let mut full = vec![b'#'; 1024 * 1024 - MINIMAL.len() - 1];
    full.push(b'\n');
    full.extend(MINIMAL.bytes());
    Config::load(&write("full.yaml", &full), &[], &env).unwrap();
}

#[test]
fn a_text_made_to_hurt_the_parser_is_refused_in_time() {
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for i in 1..40 {
        let j = i - 1;
        bomb.push_str(&format!("a{i}: &a{i} [*a{j}, *a{j}]\n"));
    }
    let aliases = format!("elections:\n  - &a x\n{}", "  - *a\n".repeat(100_000));
    let nested_block = format!("elections:\n{}x", " -".repeat(200_000));
    let nested_list = format!("elections: {}", "[".repeat(1_900));
    let nested_map = "{a: ".repeat(500_000);
    let recursive = "store: &a\n  etcd: *a\n".to_owned();
    for text in [
        bomb,
        aliases,
        nested_block,
        nested_list,
        nested_map,
        recursive,
    ] {
        let start = text.len().min(20);
        parse(&text).expect_err(&text[..start]);
    }
}
