//! Where the status files go.

use super::build::text;
use super::error::ConfigError;
use super::settings::Settings;
use std::path::{Path, PathBuf};

/// Stands for the election's name.
const ELECTION: &str = "{election}";

/// The path of a file for each election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusFile(String);

impl StatusFile {
    /// The file of one election; of no two the same.
    pub fn of(&self, election: &str) -> PathBuf {
        PathBuf::from(self.0.replace(ELECTION, election))
    }

    /// As it is written in the config.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The path that is set, if one is, as these elections allow it.
pub(super) fn config(
    settings: &Settings<'_>,
    elections: &[String],
) -> Result<Option<StatusFile>, ConfigError> {
    let key = "status_file";
    let Some(path) = text(settings, key)? else {
        return Ok(None);
    };
    if elections.len() > 1 && !path.contains(ELECTION) {
        let message = format!(
            "{path:?} is one file for {} elections; put {ELECTION} into it, e.g. /run/tenure/{ELECTION}.json",
            elections.len()
        );
        return Err(settings.error(key, message));
    }
    if path.ends_with('/') || Path::new(path).file_name().is_none() {
        let message = format!("{path:?} names no file; write e.g. /run/tenure/{ELECTION}.json");
        return Err(settings.error(key, message));
    }
    Ok(Some(StatusFile(path.to_owned())))
}
