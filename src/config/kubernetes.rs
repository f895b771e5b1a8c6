//! The settings of a store in a Kubernetes cluster.

use super::KubernetesConfig;
use super::build::text;
use super::error::ConfigError;
use super::settings::Settings;

/// What Kubernetes allows for a namespace.
const LONGEST_LABEL: usize = 63;

/// A namespace that there may be, and elections that Leases can be named after.
pub(super) fn config(
    settings: &Settings<'_>,
    elections: &[String],
) -> Result<KubernetesConfig, ConfigError> {
    for (index, election) in elections.iter().enumerate() {
        if !election.split('.').all(is_label) {
            let key = match elections {
                [_] if settings.has("election") => "election".to_owned(),
                _ => format!("elections[{index}]"),
            };
            let message = format!(
                "{election:?} can't be the name of a Lease; with store.kubernetes use only a-z 0-9 . and -, with a-z or 0-9 \
                 at both ends and beside each dot"
            );
            return Err(settings.error(&key, message));
        }
    }
    let key = "store.kubernetes.namespace";
    let namespace = text(settings, key)?;
    if let Some(namespace) = namespace
        && !(is_label(namespace) && namespace.len() <= LONGEST_LABEL)
    {
        let message = format!(
            "{namespace:?} can't be the name of a namespace; use at most {LONGEST_LABEL} of a-z 0-9 and -, with a-z or 0-9 at \
             both ends"
        );
        return Err(settings.error(key, message));
    }
    Ok(KubernetesConfig {
        namespace: namespace.map(str::to_owned),
    })
}

fn is_label(text: &str) -> bool {
    let is_alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = [text.bytes().next(), text.bytes().last()];
    ends.iter().all(|end| end.is_some_and(is_alphanumeric))
        && text.bytes().all(|c| is_alphanumeric(c) || c == b'-')
}
