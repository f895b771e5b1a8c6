//! Any text for a config, any value of a variable, any `--set`.

use super::cases;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::fs;
use std::time::Duration;
use tenure::clock;
use tenure::config::{CallConfig, Config, ConfigError, StoreConfig, report};

const FILE: &str = "c.yaml";
const REFERENCE: &str = include_str!("../../config/reference.yaml");

/// Far more than reading a config of this size takes on a busy machine.
const AT_MOST: Duration = Duration::from_secs(5);

/// What YAML, the schema and the interpolation give a meaning.
const TOKENS: &[&str] = &[
    "\n",
    "\n  ",
    "\n    ",
    " ",
    "\t",
    "\r\n",
    ": ",
    ":",
    "- ",
    "? ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "#",
    " # ",
    "\"",
    "'",
    "|",
    ">-",
    "|+2\n",
    "&a ",
    "*a",
    "&a [*a, *a]",
    "<<: *a",
    "!!binary ",
    "!!float ",
    "! ",
    "!<x> ",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "@",
    "`",
    "~",
    "null",
    "true",
    "0x1f",
    ".nan",
    "1e999",
    "-",
    "\\",
    "\\x00",
    "\u{0}",
    "\u{7}",
    "\u{1b}[2J",
    "\u{85}",
    "\u{feff}",
    "\u{2028}",
    "\u{202e}",
    "\u{fffe}",
    "\u{10ffff}",
    "ä",
    "${",
    "${A}",
    "${NONE}",
    "${A:-",
    "${NONE:-d}",
    "}",
    "$$",
    "$${",
    "$",
    "election",
    "elections",
    "payments",
    "candidate",
    "id",
    "lease",
    "ttl",
    "10s",
    "9999999999999h",
    "store",
    "etcd",
    "endpoints",
    "prefix",
    "tls",
    "http://127.0.0.1:2379",
    "http://[::1",
    "https://a@b",
    "file",
    "directory",
    "/d",
    "http",
    "api",
    "127.0.0.1:0",
    "[::ffff:127.0.0.1]:1",
    "unix:/s",
    "0660",
    "shutdown",
    "wait_for",
    "promise",
    "log",
    "election: payments\n",
    "store: { file: { directory: /d } }\n",
    "lease:\n  ttl: 10s\n",
    "store.file.directory",
    "store.kubernetes",
    "candidate.id",
    "status_file: /run/{election}.json\n",
    "{election}",
    "application",
    "exec",
    "hooks",
    "health",
    "on_step_down",
    "timeout",
    "hooks:\n  on_elected: [a, b]\n",
    "application: { health: http://a }\n",
    "http://a:99999/",
    "http://u:p@a",
    "1001",
];

const KEYS: &[&str] = &[
    "election",
    "elections",
    "candidate",
    "candidate.id",
    "candidate.advertise",
    "lease",
    "lease.ttl",
    "lease.renew_deadline",
    "lease.retry_period",
    "lease.takeover_delay",
    "store",
    "store.etcd",
    "store.etcd.endpoints",
    "store.etcd.prefix",
    "store.etcd.username",
    "store.etcd.password_file",
    "store.etcd.tls",
    "store.etcd.tls.ca_file",
    "store.etcd.tls.cert_file",
    "store.etcd.tls.key_file",
    "store.etcd.tls.server_name",
    "store.file",
    "store.file.directory",
    "http",
    "http.api",
    "http.api_mode",
    "http.api_owner",
    "http.token_file",
    "http.tls",
    "http.tls.cert_file",
    "http.tls.key_file",
    "http.probes",
    "http.probes_tls",
    "shutdown",
    "shutdown.wait_for",
    "shutdown.timeout",
    "exec",
    "exec.on_exit",
    "exec.stop_timeout",
    "hooks",
    "hooks.on_elected",
    "hooks.on_step_down",
    "hooks.on_leader_changed",
    "hooks.timeout",
    "application",
    "application.health",
    "application.interval",
    "application.timeout",
    "application.failure_threshold",
    "application.success_threshold",
    "application.startup_grace",
    "application.when_all_unhealthy",
    "readiness",
    "status_file",
    "log",
    "log.format",
    "log.level",
];

/// Scalars that take any printable text.
const FREE: &[&str] = &[
    "candidate.advertise",
    "store.etcd.prefix",
    "store.etcd.username",
];

fn env(name: &str) -> Option<String> {
    match name {
        "A" => Some("x, y: [z]\n- \"${A}\" # no".to_owned()),
        "POD_NAME" => Some("pod-0".to_owned()),
        _ => None,
    }
}

fn no_env(_: &str) -> Option<String> {
    None
}

/// Text of tokens and arbitrary characters.
fn text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        6 => select(TOKENS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

/// A value of a variable: all but NUL, which the kernel does not let through.
fn value() -> impl Strategy<Value = String> {
    let any_text = vec(any::<char>(), 0..20).prop_map(String::from_iter);
    prop_oneof![text(), any_text].prop_map(|value| value.replace('\0', ""))
}

/// The reference, damaged: lines uncommented, tokens put in, ranges taken out and doubled.
fn damaged_reference() -> impl Strategy<Value = String> {
    let edit = (any::<Index>(), any::<Index>(), 0..5, select(TOKENS));
    (vec(any::<Index>(), 0..4), vec(edit, 0..4)).prop_map(|(uncommented, edits)| {
        let mut lines: Vec<String> = REFERENCE.lines().map(str::to_owned).collect();
        for index in uncommented {
            let line = index.get(&lines).replacen("# ", "", 1);
            let at = index.index(lines.len());
            lines[at] = line;
        }
        for (index, other, kind, token) in edits {
            if lines.is_empty() {
                break;
            }
            let at = index.index(lines.len());
            match kind {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[other.index(lines.len())].clone()),
                2 => lines[at].insert_str(0, token),
                3 => lines[at] += token,
                _ => {
                    let chars: Vec<char> = lines[at].chars().collect();
                    let (head, tail) = chars.split_at(other.index(chars.len() + 1));
                    lines[at] = head.iter().chain(tail.iter().skip(1)).collect();
                    lines[at].insert_str(head.iter().collect::<String>().len(), token);
                }
            }
        }
        lines.join("\n")
    })
}

/// What must hold however it ends.
fn check(loaded: Result<Config, ConfigError>, origins: &[&str]) -> Result<(), TestCaseError> {
    match loaded {
        Ok(config) => {
            let text = report(&config);
            let again = Config::parse("report", &text, &[], &no_env);
            prop_assert_eq!(again.as_ref(), Ok(&config), "{}", text);
        }
        Err(error) => {
            let error = error.to_string();
            let named = origins.iter().any(|origin| error.starts_with(origin));
            prop_assert!(named, "{:?} names none of {:?}", error, origins);
            prop_assert!(!error.chars().any(char::is_control), "{:?}", error);
        }
    }
    Ok(())
}

fn check_text(text: &str, overrides: &[String]) -> Result<(), TestCaseError> {
    let began = clock::now();
    let loaded = Config::parse(FILE, text, overrides, &env);
    let took = clock::now().since(began);
    prop_assert!(took < AT_MOST, "{:?}", took);
    check(loaded, &[FILE, "--set "])
}

#[test]
fn an_error_is_one_line_that_steers_no_terminal_whatever_the_key_is_called() {
    for (text, set, expected) in [
        (
            "\"a\\n\\e[2J\": b\n",
            None,
            r"c.yaml:1:1: a\n\u{1b}[2J: unknown key",
        ),
        ("es\tise: b\n", None, r"c.yaml:1:1: es\tise: unknown key"),
        (REFERENCE, Some("a\nb=c"), r"--set a\nb: unknown key"),
        (
            REFERENCE,
            Some("a\x1b[2J"),
            r"--set a\u{1b}[2J: has no value",
        ),
    ] {
        let overrides: Vec<String> = set.into_iter().map(str::to_owned).collect();
        let error = Config::parse(FILE, text, &overrides, &env).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(expected), "{error:?}");
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_config_of_any_text_is_loaded_or_refused_by_its_name(text in text()) {
        check_text(&text, &[])?;
    }

    #[test]
    fn a_damaged_copy_of_the_reference_is_loaded_or_refused_by_its_name(text in damaged_reference()) {
        check_text(&text, &[])?;
    }

    #[test]
    fn what_is_set_on_the_command_line_is_taken_or_refused_by_its_name(
        key in prop_oneof![5 => select(KEYS).prop_map(str::to_owned), 1 => text()],
        value in text(),
        joint in select(&["=", "", "=="][..]),
    ) {
        check_text(REFERENCE, &[format!("{key}{joint}{value}")])?;
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_config_file_of_any_bytes_is_loaded_or_refused_by_its_name(
        bytes in prop_oneof![
            vec(any::<u8>(), 0..200),
            (damaged_reference(), any::<Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
                let mut bytes = text.into_bytes();
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                bytes
            }),
        ],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tenure.yaml");
        fs::write(&path, bytes).unwrap();
        check(Config::load(&path, &[], &env), &[path.to_str().unwrap()])?;
    }

    #[test]
    fn a_variable_brings_in_its_value_as_it_is_and_nothing_else(
        value in value(),
        key in select(FREE),
        style in select(&["${V}", "\"${V}\"", "'${V}'", "|-\n        ${V}", "!!str ${V}"][..]),
        frame in select(&[("", ""), ("x-", "-y"), ("$$${", "}")][..]),
    ) {
        let name = key.rsplit('.').next().unwrap();
        let line = |scalar: &str| format!("{name}: {scalar}");
        let (before, after) = frame;
        // Within the frame `$${`…`}` it is text, and no variable: then its name is what is brought in.
        let literal = before.starts_with('$');
        let written = style.replace("${V}", &if literal {
            "a$${V}b".to_owned()
        } else {
            format!("{before}${{V}}{after}")
        });
        let expected = if literal { "a${V}b".to_owned() } else { format!("{before}{value}{after}") };
        let config = |scalar: Option<&str>, value: &str| {
            let at = |section: &str| match scalar {
                Some(scalar) if key.starts_with(section) => line(scalar),
                _ => String::new(),
            };
            let text = format!(
                "election: payments\ncandidate:\n    id: a\n    {}\nstore:\n  etcd:\n    password_file: {}\n    {}\n    {}\n",
                at("candidate."),
                "/p",
                at("store."),
                if key.ends_with("username") && scalar.is_some() { "" } else { "username: u" },
            );
            Config::parse(FILE, &text, &[], &|name| (name == "V").then(|| value.to_owned()))
        };
        let loaded = config(Some(&written), &value);
        if expected.is_empty() || expected.chars().any(char::is_control) {
            let error = loaded.unwrap_err().to_string();
            prop_assert!(error.starts_with(FILE) && error.contains(key), "{}", error);
            return Ok(());
        }
        let mut baseline = config(None, "").unwrap();
        let StoreConfig::Etcd(etcd) = &mut baseline.store else { unreachable!() };
        match key {
            "candidate.advertise" => baseline.candidate.advertise = Some(expected),
            "store.etcd.username" => etcd.user.as_mut().unwrap().0 = expected,
            _ => etcd.prefix = if expected.ends_with('/') { expected } else { expected + "/" },
        }
        prop_assert_eq!(loaded.as_ref(), Ok(&baseline));
        check(loaded, &[FILE])?;
    }

    #[test]
    fn a_variable_in_a_list_is_one_item(value in value()) {
        let text = "elections: [\"${V}\"]\nstore: { file: { directory: /d } }\n";
        let loaded = Config::parse(FILE, text, &[], &|name| (name == "V").then(|| value.clone()));
        if let Ok(config) = &loaded {
            prop_assert_eq!(&config.elections, &[value]);
        }
        check(loaded, &[FILE])?;
    }

    #[test]
    fn a_variable_in_a_program_is_one_word_and_any_text(value in value()) {
        let text = "election: e\nstore: { file: { directory: /d } }\nhooks: { on_elected: [sh, -c, \"${V}\"] }\n";
        let loaded = Config::parse(FILE, text, &[], &|name| (name == "V").then(|| value.clone()));
        let words = ["sh".to_owned(), "-c".to_owned(), value];
        let hook = loaded.as_ref().map(|config| config.hooks.on_elected.as_ref());
        prop_assert_eq!(hook, Ok(Some(&CallConfig::Command(words.to_vec()))));
        check(loaded, &[FILE])?;
    }

    #[test]
    fn what_is_set_without_a_quote_before_it_arrives_as_it_is(value in value()) {
        prop_assume!(!value.starts_with(['"', '\'']) && value != "null" && value != "~");
        let set = [format!("candidate.advertise={value}")];
        let loaded = Config::parse(FILE, REFERENCE, &set, &env);
        if value.is_empty() || value.chars().any(char::is_control) {
            prop_assert!(loaded.is_err());
        } else {
            let mut expected = Config::parse(FILE, REFERENCE, &[], &env).unwrap();
            expected.candidate.advertise = Some(value);
            prop_assert_eq!(loaded, Ok(expected));
        }
    }
}
