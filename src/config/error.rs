//! What is wrong with a config, where, and what would be right.

use std::fmt;

/// What is wrong with a config: one line that names the place, the key, the value and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or the `--set` that brought the value in.
    pub(super) origin: String,
    /// The line and the column in the file, both counted from one.
    pub(super) position: Option<(usize, usize)>,
    /// The key's path; empty where it is about the whole.
    pub(super) key: String,
    /// What is wrong, and the remedy.
    pub(super) message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}
