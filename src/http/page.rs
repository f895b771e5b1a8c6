//! What `/` answers: a page to a browser, and to others the leader's name, as older election sidecars say it.
//!
//! The page is one file. Its script asks `/status` and `/events` for what it shows, and declines their promises: a page that
//! somebody has left open must not keep a hand-over waiting. Where no script runs, a table says how things were.

use super::body::Body;
use super::query::Query;
use super::respond::{Refusal, full, json, with};
use super::{Context, Surface, plain};
use crate::election::Time;
use crate::status::leader;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, REFERRER_POLICY, VARY,
};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Serialize;

const PAGE: &str = include_str!("page.html");
const HTML: &str = "text/html; charset=utf-8";

/// Nothing runs, styles or is asked for but what is in the page; and no text may be taken for markup by its script. The
/// hashes are those of its style and its script: `tests/http/page.rs` says which they have to be.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-Ah8YMxzzJe/LPt4Ipdark6EmSVf8W7irqxJg1xKgNps='; \
    script-src 'sha256-0fMXoSVCaHFe80P8BklLNaQv6dvzaGN2gtLOEmfm5WM='; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The page, or the name.
pub(super) fn answer(
    parts: &Parts,
    surface: Surface,
    context: &Context,
    now: Time,
) -> Response<Body> {
    let answer = if prefers_html(&parts.headers) {
        page(parts, surface, context, now)
    } else {
        name(parts, context, now)
    };
    with(
        answer.unwrap_or_else(Refusal::into_response),
        VARY,
        "Accept",
    )
}

fn page(
    parts: &Parts,
    surface: Surface,
    context: &Context,
    now: Time,
) -> Result<Response<Body>, Refusal> {
    let query = Query::parse(parts.uri.query())?;
    let picked = query.pick_or_all(&context.board.elections)?;
    let answers = picked.iter().map(|handle| handle.status.answer(now));
    // Writing to memory doesn't fail.
    let plain = plain::table(answers).unwrap_or_default();
    let surface = match surface {
        Surface::Api => "data-surface=\"api\"",
        Surface::Probes => "data-surface=\"probes\"",
    };
    let page = PAGE.replacen("data-surface=\"\"", surface, 1);
    let page = page.replacen("<noscript>", &format!("<noscript>{plain}"), 1);
    let response = full(StatusCode::OK, HTML, Bytes::from(page));
    let response = with(response, CONTENT_SECURITY_POLICY, POLICY);
    Ok(with(response, REFERRER_POLICY, "no-referrer"))
}

fn name(parts: &Parts, context: &Context, now: Time) -> Result<Response<Body>, Refusal> {
    #[derive(Serialize)]
    struct Name<'a> {
        name: &'a str,
    }
    let query = Query::parse(parts.uri.query())?;
    let election = &query.pick(&context.board.elections)?.status;
    let leader = leader(election.candidate(), &election.snapshot(), now);
    let name = leader.as_ref().map_or("", |leader| &leader.id);
    Ok(json(StatusCode::OK, &Name { name }))
}

/// Whether HTML is asked for by name, and JSON not rather. Programs that take anything get JSON.
fn prefers_html(headers: &HeaderMap) -> bool {
    let quality = |wanted: &str| {
        let values = headers.get_all(ACCEPT).iter();
        let ranges = values.filter_map(|value: &HeaderValue| value.to_str().ok());
        let ranges = ranges.flat_map(|value| value.split(','));
        let named = ranges.filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_named = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            is_named.then(|| weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
        });
        named.fold(0.0, f32::max)
    };
    let html = quality("text/html");
    html > 0.0 && html >= quality("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_prefers_html_and_programs_do_not() {
        let prefers = |accept: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, HeaderValue::from_static(value));
            }
            prefers_html(&headers)
        };
        let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        assert!(prefers(&[chromium]));
        assert!(prefers(&["Text/HTML; charset=utf-8; q=0.5"]));
        assert!(prefers(&["application/json;q=0.1", "text/html"]));
        for program in [
            "*/*",
            "text/*",
            "application/json",
            "text/html;q=0",
            "text/html;q=x",
            "application/json, text/html;q=0.9",
            "text/htmlx",
            "",
        ] {
            assert!(!prefers(&[program]), "{program}");
        }
        assert!(!prefers(&[]));
    }
}
