//! One scrape of somebody's metrics.

use crate::support::http::Client;
use crate::support::ms;

pub(crate) struct Scrape {
    text: String,
}

impl Scrape {
    /// Of tenure's probes, or of etcd's client port.
    pub(crate) fn of(port: u16) -> Scrape {
        let response = Client::new(port, ms(30_000)).get("/metrics").unwrap();
        Scrape {
            text: response.body,
        }
    }

    /// The values of all lines of one metric that contain all `labels`.
    pub(crate) fn values(&self, name: &str, labels: &[&str]) -> impl Iterator<Item = f64> {
        self.text
            .lines()
            .filter(move |line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
                    && labels.iter().all(|label| line.contains(label))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
    }

    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.values(name, labels).sum()
    }

    /// How many keepalives a server of etcd has received.
    pub(crate) fn keepalives(&self) -> f64 {
        let labels = ["grpc_method=\"LeaseKeepAlive\""];
        self.sum("grpc_server_msg_received_total", &labels)
    }

    /// The upper bounds of a histogram's buckets, but the infinite one.
    pub(crate) fn bounds(&self, name: &str) -> Vec<f64> {
        let lines = self.text.lines().filter(|line| line.starts_with(name));
        let bounds = lines.filter_map(|line| line.split("le=\"").nth(1)?.split('"').next());
        let bounds = bounds.filter_map(|bound| bound.parse().ok());
        let mut bounds: Vec<f64> = bounds.filter(|bound: &f64| bound.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        bounds
    }
}
