//! What is wrong with a config, where, and what would be right.

use std::fmt::{self, Write};

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
        let mut line = OneLine(f);
        line.write_str(&self.origin)?;
        if let Some((row, column)) = self.position {
            write!(line, ":{row}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(line, ": {}", self.key)?;
        }
        write!(line, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

/// Whatever stood in a key or a path, it can neither break the line nor steer a terminal.
struct OneLine<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() {
                write!(self.0, "{}", c.escape_debug())?;
            } else {
                self.0.write_char(c)?;
            }
        }
        Ok(())
    }
}
