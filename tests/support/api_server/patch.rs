//! Patches of JSON.

use serde_json::{Map, Value};

/// As RFC 7386 has it. A strategic one is the same wherever no list is patched.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

/// As much of RFC 6902 as changes the members of objects: `add`, `replace`, `remove` and `test`.
pub fn json(target: &mut Value, patch: &Value) -> Result<(), String> {
    for step in patch.as_array().ok_or("a json patch is a list")? {
        let path = step["path"].as_str().ok_or("a step without a path")?;
        let (parent, key) = path
            .rsplit_once('/')
            .ok_or("the path is not below the root")?;
        let key = key.replace("~1", "/").replace("~0", "~");
        let found = target.pointer_mut(parent).and_then(Value::as_object_mut);
        let parent = found.ok_or_else(|| format!("there is no {parent}"))?;
        let exists = parent.contains_key(&key);
        match step["op"].as_str() {
            Some("add") => _ = parent.insert(key, step["value"].clone()),
            Some("replace") if exists => _ = parent.insert(key, step["value"].clone()),
            Some("remove") if exists => _ = parent.remove(&key),
            Some("test") if parent.get(&key) == Some(&step["value"]) => {}
            _ => return Err(format!("the step {step} can't be applied")),
        }
    }
    Ok(())
}
