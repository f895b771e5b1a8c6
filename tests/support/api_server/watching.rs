//! Watches: what is there, and what changes.

use super::answers::{JSON, status};
use super::objects::Place;
use super::paths::{selected_name, value_of};
use super::{Body, Fault, Shared};
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

impl Shared {
    /// A stream of changes: of those after a version, or of what is there and all that comes after.
    pub(super) fn watch(self: Arc<Self>, place: Place, query: &str) -> Response<Body> {
        let name = selected_name(query);
        let from = value_of(query, "resourceVersion").unwrap_or_default();
        let objects = self.objects.lock().unwrap();
        let (first, from) = match from.parse::<u64>() {
            Ok(version) if version > 0 => (Vec::new(), version),
            _ => {
                let there = objects.list(&place, name.as_deref());
                let there = there.iter().map(|object| event("ADDED", object)).collect();
                (there, objects.version())
            }
        };
        drop(objects);
        let timeout = value_of(query, "timeoutSeconds").and_then(|text| text.parse().ok());
        let changes = Changes {
            versions: self.version.subscribe(),
            faults: self.fault.subscribe(),
            shared: self,
            place,
            name,
            from,
            over: false,
        };
        let rest = stream::unfold(changes, async |mut changes| {
            let events = changes.next().await?;
            Some((events, changes))
        });
        let events = stream::iter([first])
            .chain(rest)
            .map(|events: Vec<String>| {
                let text = events.concat();
                Ok::<_, Infallible>(Frame::data(Bytes::from(text)))
            });
        let end = tokio::time::sleep(Duration::from_secs(timeout.unwrap_or(3600)));
        let body = StreamBody::new(events.take_until(Box::pin(end)));
        let mut response = Response::new(BodyExt::boxed_unsync(body));
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        response
    }
}

/// A watch that is open.
struct Changes {
    shared: Arc<Shared>,
    versions: watch::Receiver<u64>,
    faults: watch::Receiver<Fault>,
    place: Place,
    name: Option<String>,
    from: u64,
    over: bool,
}

impl Changes {
    async fn next(&mut self) -> Option<Vec<String>> {
        if self.over {
            return None;
        }
        loop {
            self.versions.borrow_and_update();
            let speaks = self.faults.wait_for(|fault| {
                !matches!(
                    fault,
                    Fault::Silent | Fault::WatchesSilent | Fault::AnswersLost
                )
            });
            if *speaks.await.ok()? == Fault::Closes {
                return None;
            }
            let events = self.events();
            if !events.is_empty() {
                return Some(events);
            }
            tokio::select! {
                changed = self.versions.changed() => changed.ok()?,
                changed = self.faults.changed() => changed.ok()?,
            }
        }
    }

    fn events(&mut self) -> Vec<String> {
        let objects = self.shared.objects.lock().unwrap();
        let changes = match objects.changes_since(self.from) {
            Ok(changes) => changes,
            Err(refusal) => {
                self.over = true;
                return vec![event("ERROR", &status(&refusal))];
            }
        };
        let of_here = changes.iter().filter(|change| {
            change.place == self.place && self.name.as_ref().is_none_or(|name| *name == change.name)
        });
        let events = of_here.map(|change| event(change.kind, &change.object));
        let events = events.collect();
        self.from = self.from.max(objects.version());
        events
    }
}

fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({ "type": kind, "object": object }))
}
