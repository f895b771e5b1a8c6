//! Reads YAML into a flat list of settings, led by the schema.
//!
//! Where a key stands in the text is asked of the parser itself: the text is read again, and the read is
//! made to fail at that key, because a position comes only with an error. So it is right for every style of YAML.

use super::schema::{self, Shape};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use std::cell::RefCell;
use std::fmt;

/// What stands at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A section: its keys stand on their own.
    Section,
    /// A scalar.
    Text(String),
    /// A list of scalars.
    List(Vec<String>),
}

/// Why a text can't be read.
#[derive(Debug)]
pub(super) struct Fault {
    /// The line and the column, both counted from one.
    pub(super) position: Option<(usize, usize)>,
    /// The key's path; empty where no key is to blame.
    pub(super) key: String,
    /// What is wrong.
    pub(super) message: String,
}

/// The time that the parser takes grows with the square of the open brackets.
const MOST_BRACKETS: usize = 2_000;

/// The settings in `text`, which stands at the key `root`; sections before what they hold.
pub(super) fn read(text: &str, root: &str) -> Result<Vec<(String, Value)>, Fault> {
    if text.matches(['[', '{']).count() > MOST_BRACKETS {
        return Err(Fault {
            position: None,
            key: root.to_owned(),
            message: format!("has more than {MOST_BRACKETS} opening brackets; is it a config?"),
        });
    }
    read_until(text, root, None)
}

/// Where `key` stands in a text that can be read: a section's name, else the value.
pub(super) fn locate(text: &str, key: &str) -> Option<(usize, usize)> {
    read_until(text, "", Some(key)).err()?.position
}

fn read_until(
    text: &str,
    root: &str,
    stop_at: Option<&str>,
) -> Result<Vec<(String, Value)>, Fault> {
    let reader = Reader {
        stop_at,
        values: RefCell::default(),
        reached: RefCell::default(),
        fault: RefCell::default(),
    };
    let whole = Node {
        reader: &reader,
        key: root.to_owned(),
    };
    match whole.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(()) => Ok(reader.values.into_inner()),
        Err(error) => Err(reader.explain(text, &error)),
    }
}

/// What is known so far.
struct Reader<'r> {
    stop_at: Option<&'r str>,
    values: RefCell<Vec<(String, Value)>>,
    /// The key whose value was begun last.
    reached: RefCell<String>,
    /// The key and the message of an error that did not come from the parser.
    fault: RefCell<Option<(String, String)>>,
}

impl Reader<'_> {
    fn push(&self, key: String, value: Value) {
        self.values.borrow_mut().push((key, value));
    }

    fn fail<E: Error>(&self, key: String, message: String) -> E {
        *self.fault.borrow_mut() = Some((key, message));
        E::custom("")
    }

    fn stop_here<E: Error>(&self, key: &str) -> Result<(), E> {
        if self.stop_at == Some(key) {
            return Err(self.fail(key.to_owned(), String::new()));
        }
        Ok(())
    }

    fn explain(self, text: &str, error: &serde_yaml::Error) -> Fault {
        let position = error.location().map(|at| (at.line(), at.column()));
        if let Some((key, message)) = self.fault.into_inner() {
            return Fault {
                position,
                key,
                message,
            };
        }
        let mut message = error.to_string();
        if let Some((line, column)) = position {
            message = message.replacen(&format!(" at line {line} column {column}"), "", 1);
        }
        let reached = self.reached.into_inner();
        if let Some(bare) = message.strip_prefix(&format!("{reached}: ")) {
            return Fault {
                position,
                key: reached,
                message: bare.to_owned(),
            };
        }
        // Not quoted: where --config got the path of a password file, the text is the password.
        if reached.is_empty() && message.starts_with("invalid type") {
            message = format!("is no config; write the keys {}", schema::names_in(""));
        }
        if message.contains("more than one document") {
            message = "holds more than one document; keep one".to_owned();
        }
        if line_of(text, position).contains("${") {
            message.push_str("; within [ ] and { } write \"${NAME}\" in quotes");
        }
        Fault {
            position,
            key: String::new(),
            message,
        }
    }
}

fn line_of(text: &str, position: Option<(usize, usize)>) -> &str {
    position
        .and_then(|(line, _)| text.lines().nth(line - 1))
        .unwrap_or_default()
}

/// A value that is about to be read.
struct Node<'r> {
    reader: &'r Reader<'r>,
    key: String,
}

impl Node<'_> {
    fn shape(&self) -> Shape {
        schema::shape(&self.key).unwrap_or(Shape::Text)
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.reader.reached.replace(self.key.clone());
        match self.shape() {
            Shape::Text => deserializer.deserialize_option(self),
            Shape::Section | Shape::List(_) | Shape::Call => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shape() {
            Shape::Text => f.write_str("one value"),
            Shape::List(example) => write!(f, "a list such as {example}"),
            Shape::Call => f.write_str("an http:// URL, or a program with its arguments as a list"),
            Shape::Section => write!(f, "the keys {}", schema::names_in(&self.key)),
        }
    }

    /// Nothing: a section that is there but empty, or a value that isn't there.
    fn visit_none<E: Error>(self) -> Result<(), E> {
        if self.shape() == Shape::Section && !self.key.is_empty() {
            self.reader.push(self.key, Value::Section);
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if !matches!(self.shape(), Shape::Text | Shape::Call) {
            return Err(E::invalid_type(Unexpected::Str(text), &self));
        }
        self.reader.stop_here(&self.key)?;
        self.reader.push(self.key, Value::Text(text.to_owned()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if self.shape() == Shape::Section {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        self.reader.stop_here(&self.key)?;
        let mut list = Vec::new();
        while let Some(text) = items.next_element_seed(Item {
            list: &self,
            index: list.len(),
        })? {
            list.push(text);
        }
        self.reader.push(self.key, Value::List(list));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        if self.shape() != Shape::Section {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        }
        if !self.key.is_empty() {
            self.reader.push(self.key.clone(), Value::Section);
        }
        let mut seen = Vec::new();
        while let Some(key) = entries.next_key_seed(Key {
            section: &self,
            seen: &seen,
        })? {
            seen.push(key.clone());
            let reader = self.reader;
            entries.next_value_seed(Node { reader, key })?;
        }
        Ok(())
    }
}

/// A key that is about to be read.
struct Key<'r> {
    section: &'r Node<'r>,
    seen: &'r [String],
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.section.expecting(f)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<String, E> {
        let reader = self.section.reader;
        let key = schema::child(&self.section.key, name);
        if name.contains('.') {
            let message = "dots are for --set; in a file put a key below its section's name";
            return Err(reader.fail(key, message.to_owned()));
        }
        let Some(shape) = schema::shape(&key) else {
            let message = schema::unknown(&key);
            return Err(reader.fail(key, message));
        };
        if self.seen.contains(&key) {
            return Err(reader.fail(key, "stands here twice; keep one".to_owned()));
        }
        if shape == Shape::Section {
            reader.stop_here(&key)?;
        }
        Ok(key)
    }
}

/// An item of a list that is about to be read.
struct Item<'r> {
    list: &'r Node<'r>,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let key = format!("{}[{}]", self.list.key, self.index);
        self.list.reader.reached.replace(key);
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Item<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        let reader = self.list.reader;
        reader.stop_here(&reader.reached.borrow())?;
        Ok(text.to_owned())
    }
}
