//! Any config, any variables in it, and any `--set` over it.
//!
//! The input's parts are parted by the byte 0xff, which is in no text: the file, the value of the variable `V`, and
//! one `--set` each.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use std::fs;
use tenure::config::{Config, ConfigError, StoreConfig, report};

const FILE: &str = "c.yaml";
const MINIMAL: &str = "election: payments\nstore: { file: { directory: /d } }\n";

fuzz_target!(|data: &[u8]| -> Corpus {
    let mut parts = data.split(|byte| *byte == 0xff);
    let file = parts.next().unwrap_or_default();
    let Ok(rest) = parts.map(str::from_utf8).collect::<Result<Vec<_>, _>>() else {
        return Corpus::Reject;
    };
    let variable = rest.first().copied();
    // The kernel lets a NUL through in neither a variable nor an argument.
    if rest.iter().any(|part| part.contains('\0')) {
        return Corpus::Reject;
    }
    let overrides: Vec<String> = rest.iter().skip(1).map(|set| (*set).to_owned()).collect();
    match str::from_utf8(file) {
        Ok(text) => {
            let loaded = Config::parse(FILE, text, &overrides, &|name| env(name, variable));
            check(&loaded, FILE, text, &overrides);
        }
        Err(_) => any_bytes(file),
    }
    if let Some(value) = variable {
        brought_in_by_a_variable(value);
        brought_in_by_set(value);
    }
    Corpus::Keep
});

fn env(name: &str, variable: Option<&str>) -> Option<String> {
    match name {
        "V" => variable.map(str::to_owned),
        "POD_NAME" => Some("pod-0".to_owned()),
        _ => None,
    }
}

/// What must hold however it ends: the report of what is accepted is the same config, and an error is one line that
/// begins with the place.
fn check(loaded: &Result<Config, ConfigError>, origin: &str, text: &str, overrides: &[String]) {
    match loaded {
        Ok(config) => {
            let report = report(config);
            let again = Config::parse("report", &report, &[], &|_| None);
            assert_eq!(again.as_ref(), Ok(config), "{report}");
        }
        Err(error) => {
            let error = error.to_string();
            let in_file = error.strip_prefix(&format!("{origin}:"));
            let in_set = !overrides.is_empty() && error.starts_with("--set ");
            assert!(in_file.is_some() || in_set, "{error:?} names no place");
            assert!(!error.chars().any(char::is_control), "{error:?}");
            if let Some(line) = in_file.and_then(line) {
                let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
                // The end is on a line of its own, whether the last one is broken or not.
                let lines = text.matches(breaks).count() + 2;
                assert!((1..=lines).contains(&line), "{error:?} names no line");
            }
        }
    }
}

/// The line that stands after the origin, if one does.
fn line(after_origin: &str) -> Option<usize> {
    let (line, rest) = after_origin.split_once(':')?;
    let (column, _) = rest.split_once(':')?;
    column.parse::<usize>().ok()?;
    line.parse().ok()
}

/// A file that is no text is refused, by its name.
fn any_bytes(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tenure.yaml");
    fs::write(&path, bytes).expect("a file");
    let error = Config::load(&path, &[], &|name| env(name, None)).expect_err("not UTF-8");
    let error = error.to_string();
    assert!(
        error.starts_with(path.to_str().expect("a path")) && error.contains("UTF-8"),
        "{error}"
    );
}

/// A variable brings in its value as it is, and nothing else.
fn brought_in_by_a_variable(value: &str) {
    let text = "candidate: { advertise: \"${V}\" }\n".to_owned() + MINIMAL;
    let loaded = Config::parse(FILE, &text, &[], &|name| env(name, Some(value)));
    brought_in(loaded, value);

    let text = "elections: [\"${V}\"]\nstore: { file: { directory: \"${V}\" } }\n";
    if let Ok(config) = Config::parse(FILE, text, &[], &|name| env(name, Some(value))) {
        assert_eq!(config.elections, [value]);
        assert!(
            matches!(config.store, StoreConfig::File(file) if file.directory.as_os_str() == value)
        );
    }
}

/// What is set without a quote before it arrives as it is.
fn brought_in_by_set(value: &str) {
    if value.starts_with(['"', '\'']) || value == "null" || value == "~" {
        return;
    }
    let set = [format!("candidate.advertise={value}")];
    let loaded = Config::parse(FILE, MINIMAL, &set, &|name| env(name, None));
    brought_in(loaded, value);
}

fn brought_in(loaded: Result<Config, ConfigError>, value: &str) {
    if value.is_empty() || value.chars().any(char::is_control) {
        let error = loaded.expect_err("nothing to print").to_string();
        assert!(error.contains("candidate.advertise"), "{error}");
        return;
    }
    let mut expected = Config::parse(FILE, MINIMAL, &[], &|name| env(name, None)).expect("minimal");
    expected.candidate.advertise = Some(value.to_owned());
    assert_eq!(loaded, Ok(expected));
}
