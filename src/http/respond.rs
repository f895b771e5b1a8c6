//! Answers by their status and type. None may be stored: each is about this very moment.

use super::body::Body;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// JSON, in UTF-8 as always.
pub(super) const JSON: &str = "application/json";

/// Why a request gets no answer of the kind that it asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: String,
    header: Option<(HeaderName, &'static str)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Refusal {
            status,
            error: error.into(),
            header: None,
        }
    }

    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(super) fn unavailable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    pub(super) fn method(allow: &'static str) -> Self {
        Refusal {
            header: Some((ALLOW, allow)),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("method not allowed here; use {allow}"),
            )
        }
    }

    pub(super) fn unauthorized() -> Self {
        Refusal {
            header: Some((WWW_AUTHENTICATE, "Bearer realm=\"tenure\"")),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "the api asks for a token; send what http.token_file holds as Authorization: Bearer",
            )
        }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        #[derive(Serialize)]
        struct Error<'a> {
            error: &'a str,
        }
        let error = Error { error: &self.error };
        let response = json(self.status, &error);
        match self.header {
            Some((name, value)) => with(response, name, value),
            None => response,
        }
    }
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    // Only maps with odd keys, and types that say so, fail to serialize: there are none here.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    full(status, JSON, Bytes::from(bytes))
}

/// A fixed JSON text.
pub(super) fn fixed_json(text: &'static str) -> Response<Body> {
    full(StatusCode::OK, JSON, Bytes::from_static(text.as_bytes()))
}

/// All of a body.
pub(super) fn full(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::Full(bytes));
    *response.status_mut() = status;
    with(guarded(response), CONTENT_TYPE, kind)
}

/// An event stream.
pub(super) fn stream(body: Body) -> Response<Body> {
    with(
        guarded(Response::new(body)),
        CONTENT_TYPE,
        "text/event-stream",
    )
}

/// The same with one more header.
pub(super) fn with(
    mut response: Response<Body>,
    name: HeaderName,
    value: &'static str,
) -> Response<Body> {
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}

/// Never stored, and taken for nothing but what it says it is: it may say back what was asked.
fn guarded(response: Response<Body>) -> Response<Body> {
    let response = with(response, CACHE_CONTROL, "no-store");
    with(response, X_CONTENT_TYPE_OPTIONS, "nosniff")
}

/// Input as it may be said back: short. JSON and HTML are escaped elsewhere.
pub(super) fn shortened(input: &str) -> String {
    const LONGEST: usize = 64;
    let mut chars = input.chars();
    let mut short: String = chars.by_ref().take(LONGEST).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_input_is_said_back_short_and_cut_between_characters() {
        assert_eq!(shortened("payments"), "payments");
        let long = "ä".repeat(1000);
        assert_eq!(shortened(&long).chars().count(), 65);
    }
}
