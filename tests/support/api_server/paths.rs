//! What a path and its query name.

use super::objects::Place;

/// `/apis/GROUP/VERSION/namespaces/NS/RESOURCE/NAME`, or `/api/VERSION/…` for the core group.
pub(super) fn parse(path: &str) -> Option<(Place, Option<String>)> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", rest @ ..] => ("", rest),
        ["apis", group, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let (version, namespace, resource, name) = match rest {
        [version, "namespaces", namespace, resource] => (version, namespace, resource, None),
        [version, "namespaces", namespace, resource, name] => {
            (version, namespace, resource, Some(name))
        }
        _ => return None,
    };
    let place = Place {
        group: group.to_owned(),
        version: (*version).to_owned(),
        namespace: (*namespace).to_owned(),
        resource: (*resource).to_owned(),
    };
    Some((place, name.map(|name| (*name).to_owned())))
}

/// Of a query whose values need little decoding.
pub(super) fn value_of(query: &str, key: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .next();
    value.map(|value| value.replace("%3D", "=").replace("%2F", "/"))
}

pub(super) fn selected_name(query: &str) -> Option<String> {
    let selector = value_of(query, "fieldSelector")?;
    selector.strip_prefix("metadata.name=").map(str::to_owned)
}
