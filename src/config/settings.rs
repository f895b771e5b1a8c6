//! The settings of a file with those of `--set` laid over them: text still, but every key is known.

use super::env::{Env, interpolate};
use super::error::ConfigError;
use super::schema::{self, Shape};
use super::yaml::{self, Value};
use std::collections::BTreeMap;

/// The settings by their keys, and where each came from.
pub(super) struct Settings<'a> {
    file: &'a str,
    text: &'a str,
    values: BTreeMap<String, Setting>,
}

struct Setting {
    value: Value,
    /// The key of the `--set` that brought it in, where it isn't from the file.
    set_by: Option<String>,
}

impl<'a> Settings<'a> {
    /// Reads the text, lays the overrides over it in their order, and then puts in the variables of the rest.
    pub(super) fn read(
        file: &'a str,
        text: &'a str,
        overrides: &[String],
        env: Env<'_>,
    ) -> Result<Self, ConfigError> {
        let values = yaml::read(text, "").map_err(|fault| ConfigError {
            origin: file.to_owned(),
            position: fault.position,
            key: fault.key,
            message: fault.message,
        })?;
        let mut settings = Settings {
            file,
            text,
            values: BTreeMap::new(),
        };
        for (key, value) in values {
            settings.insert(key, value, None);
        }
        for assignment in overrides {
            settings.set(assignment)?;
        }
        settings.interpolate(env)?;
        Ok(settings)
    }

    /// Whether nothing at all is set.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether there is anything at `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The scalar at `key`.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.values.get(key)?.value {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Section => None,
        }
    }

    /// The list at `key`.
    pub(super) fn list(&self, key: &str) -> Option<&[String]> {
        match &self.values.get(key)?.value {
            Value::List(list) => Some(list),
            Value::Text(_) | Value::Section => None,
        }
    }

    /// An error about `key`, at the place where it, or else the nearest section around it, was written.
    pub(super) fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let mut written = key;
        while !written.is_empty() && !self.values.contains_key(written) {
            written = schema::parent(written);
        }
        let set_by = self.values.get(written).and_then(|at| at.set_by.as_deref());
        if let Some(set_by) = set_by {
            return set_error(set_by, key, message);
        }
        // An item of a list isn't among the values, but has a place in the text.
        let place = if key.starts_with(&format!("{written}[")) {
            key
        } else {
            written
        };
        ConfigError {
            origin: self.file.to_owned(),
            position: yaml::locate(self.text, place),
            key: key.to_owned(),
            message: message.into(),
        }
    }

    fn insert(&mut self, key: String, value: Value, set_by: Option<String>) {
        self.values.insert(key, Setting { value, set_by });
    }

    /// Takes out `key` and all that is in it.
    fn remove(&mut self, key: &str) {
        let within = format!("{key}.");
        self.values
            .retain(|known, _| known != key && !known.starts_with(&within));
    }

    fn set(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let Some((key, value)) = assignment.split_once('=') else {
            let message = "has no value; write --set KEY=VALUE, e.g. --set candidate.id=b";
            return Err(set_error(assignment, "", message));
        };
        let shape = match schema::shape(key) {
            Some(shape) if !key.is_empty() => shape,
            _ => return Err(set_error(key, key, schema::unknown(key))),
        };
        if matches!(value, "null" | "~") {
            self.remove(key);
            return Ok(());
        }
        let quotes: &[char] = match shape {
            Shape::Call => &['"', '\'', '['],
            _ => &['"', '\''],
        };
        let values = match shape {
            // Only a quote can make a scalar anything but what it says.
            Shape::Text | Shape::Call if !value.starts_with(quotes) => {
                vec![(key.to_owned(), Value::Text(value.to_owned()))]
            }
            _ => {
                yaml::read(value, key).map_err(|fault| set_error(key, &fault.key, fault.message))?
            }
        };
        self.replace_other_form(key);
        let mut section = schema::parent(key);
        while !section.is_empty() {
            if !self.has(section) {
                self.insert(section.to_owned(), Value::Section, Some(key.to_owned()));
            }
            section = schema::parent(section);
        }
        for (within, value) in values {
            self.insert(within, value, Some(key.to_owned()));
        }
        Ok(())
    }

    /// `election` and `elections` say the same thing, so setting one replaces the other.
    fn replace_other_form(&mut self, key: &str) {
        match key {
            "election" => self.remove("elections"),
            "elections" => self.remove("election"),
            _ => {}
        }
    }

    /// What was set on the command line is left alone: the shell has seen to it.
    fn interpolate(&mut self, env: Env<'_>) -> Result<(), ConfigError> {
        let mut fault = None;
        for (key, setting) in &mut self.values {
            if setting.set_by.is_some() {
                continue;
            }
            let done = match &mut setting.value {
                Value::Section => Ok(()),
                Value::Text(text) => put_in(text, env).map_err(|message| (key.clone(), message)),
                Value::List(list) => (0..).zip(list).try_for_each(|(index, text): (usize, _)| {
                    put_in(text, env).map_err(|message| (format!("{key}[{index}]"), message))
                }),
            };
            if let Err(first) = done {
                fault = Some(first);
                break;
            }
        }
        match fault {
            Some((key, message)) => Err(self.error(&key, message)),
            None => Ok(()),
        }
    }
}

fn put_in(text: &mut String, env: Env<'_>) -> Result<(), String> {
    *text = interpolate(text, env)?;
    Ok(())
}

fn set_error(set_by: &str, key: &str, message: impl Into<String>) -> ConfigError {
    ConfigError {
        origin: format!("--set {set_by}"),
        position: None,
        key: if key == set_by { "" } else { key }.to_owned(),
        message: message.into(),
    }
}
