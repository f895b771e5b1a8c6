//! Answers as the API server words them.

use super::Body;
use super::objects::Refusal;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn json_response(code: u16, body: &Value) -> Response<Body> {
    let body = BodyExt::boxed_unsync(Full::new(Bytes::from(body.to_string())));
    let response = Response::builder().status(code).header(CONTENT_TYPE, JSON);
    response.body(body).unwrap()
}

pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    json_response(refusal.code, &status(refusal))
}

pub(super) fn status(refusal: &Refusal) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": refusal.message, "reason": refusal.reason, "code": refusal.code,
    })
}

pub(super) fn refusal_for(code: u16) -> Refusal {
    let (reason, message) = match code {
        401 => ("Unauthorized", "Unauthorized"),
        403 => (
            "Forbidden",
            "leases.coordination.k8s.io is forbidden: User \"fake\" cannot do that in the namespace",
        ),
        404 => (
            "NotFound",
            "the server could not find the requested resource",
        ),
        405 => (
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        415 => (
            "UnsupportedMediaType",
            "the body of the request was in an unknown format",
        ),
        429 => (
            "TooManyRequests",
            "too many requests, please try again later",
        ),
        503 => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        _ => (
            "InternalError",
            "an error on the server has prevented the request from succeeding",
        ),
    };
    Refusal {
        code,
        reason,
        message: message.to_owned(),
    }
}
