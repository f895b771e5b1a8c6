//! What the value of a candidate's key says, as the contract has it: read anew, to judge what the adapter reads.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// An id, and where its application is reached.
pub(crate) type Candidate = (String, Option<String>);

/// The JSON of a sidecar, else the id as it stands.
pub(crate) fn said_by(value: &[u8]) -> Candidate {
    match serde_json::from_slice(value) {
        Ok(Ours(candidate)) => candidate,
        Err(_) => (String::from_utf8_lossy(value).into_owned(), None),
    }
}

/// An object with an id, no name of which we know stands there twice, and whatever else in it.
struct Ours(Candidate);

impl<'de> Deserialize<'de> for Ours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members).map(Ours)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Candidate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Candidate, A::Error> {
        let (mut id, mut advertise) = (None, None);
        while let Some(name) = members.next_key::<String>()? {
            let is_second = match name.as_str() {
                "id" => id.replace(members.next_value()?).is_some(),
                "advertise" => advertise.replace(members.next_value()?).is_some(),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if is_second {
                return Err(A::Error::custom("a name twice"));
            }
        }
        let id = id.ok_or_else(|| A::Error::custom("no id"))?;
        Ok((id, advertise.flatten()))
    }
}
