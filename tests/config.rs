//! The config as people write it: what is accepted, what it means, and what is said of mistakes.

#[path = "config/application.rs"]
mod application;
#[path = "config/meaning.rs"]
mod meaning;
#[path = "config/mistakes.rs"]
mod mistakes;
#[path = "config/overrides.rs"]
mod overrides;
#[path = "config/pod.rs"]
mod pod;
#[path = "config/report.rs"]
mod report;
#[path = "config/samples.rs"]
mod samples;
#[path = "config/text.rs"]
mod text;

use std::time::Duration;
use tenure::config::{Config, ConfigError, FileConfig, StoreConfig};

const MINIMAL: &str = "election: payments\nstore: { file: { directory: /d } }\n";

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

fn refused(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn file_store(directory: &str) -> StoreConfig {
    StoreConfig::File(FileConfig {
        directory: directory.into(),
    })
}
