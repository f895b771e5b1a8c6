//! Rules of the code that a compiler does not know.

use std::fs;
use std::path::{Path, PathBuf};

fn source_files(below: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code of a file, without its comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The words that follow `crate::`, and the modules named in braces after it.
fn modules_used(code: &str) -> Vec<String> {
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list
                .split('}')
                .next()
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .map(str::to_owned)
                .collect(),
            None => vec![rest.to_owned()],
        })
        .map(|path| {
            path.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .filter(|module: &String| !module.is_empty())
        .collect()
}

#[test]
fn the_core_is_pure() {
    let forbidden = [
        "async",
        "await",
        "tokio",
        "tracing",
        "println",
        "Instant",
        "SystemTime",
        "std::fs",
        "std::net",
        "std::io",
        "std::thread",
        "std::env",
        "std::process",
        "std::sync",
        "rustix",
        "fastrand::Rng::new()",
        "RandomState",
        "HashMap",
        "unsafe",
    ];
    let files = source_files(&src().join("election"));
    assert!(files.len() > 5, "where has the core gone?");
    for file in files {
        let code = code(&file);
        for word in forbidden {
            assert!(
                !code.contains(word),
                "{}: the core must not know of `{word}`",
                file.display()
            );
        }
        for module in modules_used(&code) {
            assert_eq!(module, "election", "{}", file.display());
        }
    }
}

/// Each module, and those that it may use. The arrows never turn back.
const ARROWS: [(&str, &[&str]); 23] = [
    ("election", &[]),
    ("clock", &["election"]),
    ("application", &["clock", "election"]),
    ("status", &["election"]),
    ("status_file", &["status", "clock", "election"]),
    ("metrics", &["status", "clock", "election"]),
    ("config", &["election"]),
    (
        "store",
        &[
            "config",
            "status",
            "secret",
            "tls",
            "watched_files",
            "kubernetes",
            "causes",
            "clock",
            "election",
        ],
    ),
    (
        "driver",
        &["clock", "store", "metrics", "status", "election"],
    ),
    (
        "http",
        &[
            "metrics",
            "status",
            "config",
            "secret",
            "tls",
            "watched_files",
            "clock",
            "election",
        ],
    ),
    ("call", &["application", "config"]),
    (
        "hooks",
        &["call", "config", "driver", "status", "clock", "election"],
    ),
    ("health", &["call", "config", "status"]),
    (
        "pod",
        &["config", "status", "kubernetes", "clock", "election"],
    ),
    ("logging", &["config"]),
    ("shutdown", &[]),
    (
        "kubernetes",
        &[
            "secret",
            "tls",
            "watched_files",
            "causes",
            "clock",
            "election",
        ],
    ),
    ("causes", &[]),
    ("secret", &[]),
    ("tls", &[]),
    ("watched_files", &[]),
    ("client", &["status", "secret", "tls", "clock"]),
    (
        "daemon",
        &[
            "application",
            "call",
            "config",
            "health",
            "hooks",
            "http",
            "kubernetes",
            "metrics",
            "pod",
            "status",
            "status_file",
            "driver",
            "clock",
            "store",
            "shutdown",
            "logging",
            "secret",
            "election",
        ],
    ),
];

#[test]
fn the_arrows_between_modules_never_turn_back() {
    let mut checked = 0;
    for file in source_files(&src()) {
        let path = file.strip_prefix(src()).unwrap().with_extension("");
        let module = path.iter().next().unwrap().to_string_lossy().into_owned();
        if ["lib", "main", "cli"].contains(&module.as_str()) {
            continue;
        }
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("`{module}` has no place in the picture yet"));
        for used in modules_used(&code(&file)) {
            assert!(
                used == module || allowed.contains(&used.as_str()),
                "{}: `{module}` must not use `{used}`",
                file.display()
            );
            checked += 1;
        }
    }
    assert!(
        checked > 20,
        "only {checked} arrows found: is the test blind?"
    );
}

#[test]
fn only_the_clock_reads_a_clock() {
    let clocks = ["clock_gettime", "Instant::now", "SystemTime::now"];
    for file in source_files(&src()) {
        if file.ends_with("clock.rs") {
            continue;
        }
        for clock in clocks {
            assert!(!code(&file).contains(clock), "{}: {clock}", file.display());
        }
    }
}
