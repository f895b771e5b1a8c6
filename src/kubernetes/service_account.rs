//! The cluster whose pod this is, as the kubelet tells every container of it.

use super::access::{Access, Source, Trust};
use kube::Config;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

/// Set by the kubelet in every container.
pub(super) const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";

/// Where it puts what belongs to the pod's service account.
pub(super) const DIRECTORY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// # Errors
/// A sentence on what is missing.
pub(super) fn find(
    directory: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Access, String> {
    let unusable = |why: String| {
        format!(
            "the pod's service account can't be used: {why}; see that automountServiceAccountToken isn't false"
        )
    };
    let variable = |name: &str| env(name).ok_or_else(|| unusable(format!("{name} is not set")));
    let url = url(&variable(HOST)?, &variable(PORT)?);
    let url = url
        .parse()
        .map_err(|error| unusable(format!("{url}: {error}")))?;
    let namespace = directory.join("namespace");
    let mut config = Config::new(url);
    config.default_namespace = fs::read_to_string(&namespace)
        .map_err(|error| unusable(format!("{}: {error}", namespace.display())))?
        .trim()
        .to_owned();
    Ok(Access {
        config,
        token: Some(Source::File(directory.join("token"))),
        trust: Trust {
            authorities: Some(Source::File(directory.join("ca.crt"))),
            ..Trust::default()
        },
    })
}

fn url(host: &str, port: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("https://[{address}]:{port}"),
        _ => format!("https://{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_pod_s_cluster_is_where_its_kubelet_says_and_what_is_missing_is_named() {
        let directory = TempDir::new().unwrap();
        let env = |name: &str| match name {
            HOST => Some("fd00::1".to_owned()),
            PORT => Some("6443".to_owned()),
            _ => None,
        };
        let missing = find(directory.path(), &env).err().unwrap();
        assert!(
            missing.contains("/namespace: ") && missing.contains("automount"),
            "{missing}"
        );
        fs::write(directory.path().join("namespace"), "payments\n").unwrap();
        let found = find(directory.path(), &env).ok().unwrap();
        assert_eq!(found.config.cluster_url, "https://[fd00::1]:6443/");
        assert_eq!(found.config.default_namespace, "payments");
        let files = found.trust.files();
        assert_eq!(files, [directory.path().join("ca.crt")]);
        let unset = find(directory.path(), &|_| None).err().unwrap();
        assert!(
            unset.contains("KUBERNETES_SERVICE_HOST is not set"),
            "{unset}"
        );
    }
}
