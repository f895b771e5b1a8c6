//! What an API server keeps: objects, their versions, and what has changed.

use super::patch;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where an object, or a collection of them, is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub namespace: String,
    /// In the plural: `leases`.
    pub resource: String,
}

/// A request that was refused.
#[derive(Debug)]
pub struct Refusal {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
}

pub type Answer = Result<Value, Refusal>;

/// A change, as watches tell of it.
#[derive(Clone, Debug)]
pub struct Change {
    pub version: u64,
    pub place: Place,
    pub name: String,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub kind: &'static str,
    pub object: Value,
}

/// All objects, and all changes since the last compaction.
#[derive(Debug)]
pub struct Objects {
    version: u64,
    objects: BTreeMap<(Place, String), Value>,
    history: Vec<Change>,
    /// No change up to this one is remembered.
    compacted: u64,
    created: u64,
}

impl Objects {
    pub fn new() -> Self {
        Objects {
            // As if there had been others before.
            version: 1000,
            objects: BTreeMap::new(),
            history: Vec::new(),
            compacted: 1000,
            created: 0,
        }
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn get(&self, place: &Place, name: &str) -> Answer {
        let found = self.objects.get(&(place.clone(), name.to_owned()));
        found.cloned().ok_or_else(|| not_found(place, name))
    }

    /// Those of a collection, or the one of that name in it.
    pub fn list(&self, place: &Place, name: Option<&str>) -> Vec<Value> {
        let all = self.objects.iter();
        let chosen = all.filter(|((at, called), _)| {
            at == place && name.is_none_or(|name| name == called.as_str())
        });
        chosen.map(|(_, object)| object.clone()).collect()
    }

    pub fn create(&mut self, place: &Place, mut object: Value) -> Answer {
        self.created += 1;
        if let Some(beginning) = object["metadata"]["generateName"].as_str() {
            let name = format!("{beginning}{:05x}", self.created);
            object["metadata"]["name"] = name.into();
        }
        let Some(name) = object["metadata"]["name"].as_str().map(str::to_owned) else {
            return Err(invalid("metadata.name: Required value: name is required"));
        };
        if self.get(place, &name).is_ok() {
            let message = format!("{} already exists", described(place, &name));
            return Err(refusal(409, "AlreadyExists", message));
        }
        validate(place, &object)?;
        object["metadata"]["namespace"] = place.namespace.clone().into();
        object["metadata"]["uid"] = format!("00000000-0000-4000-8000-{:012x}", self.created).into();
        object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        Ok(self.write(place, &name, "ADDED", object))
    }

    /// Replaces an object, if it is the one that was read.
    pub fn replace(&mut self, place: &Place, name: &str, mut object: Value) -> Answer {
        let uid = object["metadata"]["uid"].clone();
        let current = match self.get(place, name) {
            // What was deleted is not made anew by an update of it, but a Lease is by any other.
            Err(_) if !uid.is_null() => return Err(another_object(place, name)),
            Err(_) if place.resource == "leases" => return self.create(place, object),
            found => found?,
        };
        if !uid.is_null() && uid != current["metadata"]["uid"] {
            return Err(another_object(place, name));
        }
        let condition = object["metadata"]["resourceVersion"].clone();
        if condition.is_null() && place.resource == "leases" {
            let message =
                "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update";
            return Err(invalid(message));
        }
        same_version(place, name, &current, &condition)?;
        validate(place, &object)?;
        for kept in ["uid", "namespace", "creationTimestamp"] {
            object["metadata"][kept] = current["metadata"][kept].clone();
        }
        object["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"].clone();
        // An update that changes nothing is none.
        if object == current {
            return Ok(current);
        }
        Ok(self.write(place, name, "MODIFIED", object))
    }

    pub fn patch(&mut self, place: &Place, name: &str, kind: &str, patch: &Value) -> Answer {
        let current = self.get(place, name)?;
        let mut object = current.clone();
        match kind {
            "application/json-patch+json" => patch::json(&mut object, patch).map_err(invalid)?,
            "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
                same_version(place, name, &current, &patch["metadata"]["resourceVersion"])?;
                patch::merge(&mut object, patch);
            }
            other => {
                let message = format!("the body of the request was in an unknown format: {other}");
                return Err(refusal(415, "UnsupportedMediaType", message));
            }
        }
        object["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"].clone();
        self.replace(place, name, object)
    }

    pub fn delete(&mut self, place: &Place, name: &str, options: &Value) -> Answer {
        let current = self.get(place, name)?;
        let preconditions = &options["preconditions"];
        same_version(place, name, &current, &preconditions["resourceVersion"])?;
        let object = self.write(place, name, "DELETED", current);
        self.objects.remove(&(place.clone(), name.to_owned()));
        Ok(json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": { "name": name, "kind": place.resource, "uid": object["metadata"]["uid"] },
        }))
    }

    /// What has changed there after a version; none where that is not remembered.
    pub fn changes_since(&self, version: u64) -> Result<&[Change], Refusal> {
        if version < self.compacted {
            let message = format!("too old resource version: {version} ({})", self.compacted);
            return Err(refusal(410, "Expired", message));
        }
        let first = self
            .history
            .partition_point(|change| change.version <= version);
        Ok(&self.history[first..])
    }

    /// What is remembered of the changes there.
    pub fn changes(&self, place: &Place) -> Vec<Value> {
        let there = self.history.iter().filter(|change| change.place == *place);
        there.map(|change| change.object.clone()).collect()
    }

    /// Forgets what has changed so far.
    pub fn compact(&mut self) {
        self.compacted = self.version;
        self.history.clear();
    }

    /// As after a restore of an old backup: versions begin again lower.
    pub fn set_version_back(&mut self, version: u64) {
        self.version = version;
        self.compacted = version;
        self.history.clear();
        for object in self.objects.values_mut() {
            self.version += 1;
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
        }
    }

    fn write(&mut self, place: &Place, name: &str, kind: &'static str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects
            .insert((place.clone(), name.to_owned()), object.clone());
        self.history.push(Change {
            version: self.version,
            place: place.clone(),
            name: name.to_owned(),
            kind,
            object: object.clone(),
        });
        object
    }
}

fn another_object(place: &Place, name: &str) -> Refusal {
    let message = format!(
        "Operation cannot be fulfilled on {}: StorageError: invalid object: Precondition failed: UID in precondition",
        described(place, name)
    );
    refusal(409, "Conflict", message)
}

fn same_version(
    place: &Place,
    name: &str,
    current: &Value,
    condition: &Value,
) -> Result<(), Refusal> {
    if condition.is_null() || *condition == current["metadata"]["resourceVersion"] {
        return Ok(());
    }
    let message = format!(
        "Operation cannot be fulfilled on {}: the object has been modified; please apply your changes to the latest \
         version and try again",
        described(place, name)
    );
    Err(refusal(409, "Conflict", message))
}

/// What a real server checks of a Lease.
fn validate(place: &Place, object: &Value) -> Result<(), Refusal> {
    if place.resource != "leases" {
        return Ok(());
    }
    let spec = &object["spec"];
    if spec["leaseDurationSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds <= 0)
    {
        return Err(invalid(
            "spec.leaseDurationSeconds: Invalid value: must be greater than 0",
        ));
    }
    if spec["leaseTransitions"]
        .as_i64()
        .is_some_and(|transitions| transitions < 0)
    {
        return Err(invalid(
            "spec.leaseTransitions: Invalid value: must be greater than or equal to 0",
        ));
    }
    for time in ["acquireTime", "renewTime"] {
        // Parsed by a layout with exactly six digits.
        let micros = |text: &str| text.split('.').nth(1).is_some_and(|rest| rest.len() == 7);
        if spec[time].as_str().is_some_and(|text| !micros(text)) {
            return Err(refusal(
                400,
                "BadRequest",
                format!("{time}: cannot parse {}", spec[time]),
            ));
        }
    }
    let is_set = |field: &str| spec[field].as_str().is_some_and(|text| !text.is_empty());
    if is_set("preferredHolder") && !is_set("strategy") {
        return Err(invalid(
            "spec.preferredHolder: Forbidden: may only be specified when `strategy` is defined",
        ));
    }
    Ok(())
}

fn not_found(place: &Place, name: &str) -> Refusal {
    refusal(
        404,
        "NotFound",
        format!("{} not found", described(place, name)),
    )
}

fn invalid(message: impl Into<String>) -> Refusal {
    refusal(422, "Invalid", message.into())
}

fn refusal(code: u16, reason: &'static str, message: String) -> Refusal {
    Refusal {
        code,
        reason,
        message,
    }
}

fn described(place: &Place, name: &str) -> String {
    let dot = if place.group.is_empty() { "" } else { "." };
    format!("{}{dot}{} \"{name}\"", place.resource, place.group)
}
