//! The page for browsers: static, without scripts, and everything in it escaped.

use super::Context;
use super::body::Body;
use super::respond::{full, with};
use crate::status::Answer;
use hyper::body::Bytes;
use hyper::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use hyper::{Response, StatusCode};
use std::fmt::{self, Display, Write};

const HTML: &str = "text/html; charset=utf-8";
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem;color:#222;background:#fff}\
table{border-collapse:collapse}th,td{text-align:left;padding:.3rem 1.2rem .3rem 0;border-bottom:1px solid #ddd}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}}";

/// The state of these elections.
pub(super) fn response(context: &Context, answers: &[Answer]) -> Response<Body> {
    let id = &context.board.candidate.id;
    let html = render(id, context.version, answers).unwrap_or_default();
    let response = full(StatusCode::OK, HTML, Bytes::from(html));
    let response = with(response, CONTENT_SECURITY_POLICY, POLICY);
    with(response, REFERRER_POLICY, "no-referrer")
}

fn render(id: &str, version: &str, answers: &[Answer]) -> Result<String, fmt::Error> {
    let mut html = String::new();
    let id = Escaped(id);
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>tenure: {id}</title>\
         <style>{STYLE}</style></head>\n<body><h1>{id}</h1>\n<table>\
         <tr><th>Election</th><th>State</th><th>Leader</th><th>Address</th><th>Since</th></tr>\n"
    )?;
    for answer in answers {
        let leader = answer.leader.as_ref();
        let risk = if answer.at_risk { ", at risk" } else { "" };
        writeln!(
            html,
            "<tr><td>{}</td><td>{}{risk}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(&answer.election),
            answer.state,
            Escaped(leader.map_or("unknown", |leader| &leader.id)),
            Escaped(leader.and_then(|l| l.advertise.as_deref()).unwrap_or("")),
            answer.since,
        )?;
    }
    writeln!(html, "</table>\n<p>tenure {version}</p></body></html>")?;
    Ok(html)
}

/// Text as it may stand in an element or in a quoted attribute.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_candidate_says_of_itself_becomes_markup() {
        let hostile = "<script>alert(\"1\" & '2')</script>";
        let answer = Answer {
            election: "payments".into(),
            id: hostile.into(),
            state: "follower",
            is_leader: false,
            at_risk: false,
            fencing_token: None,
            guard: None,
            valid_for_ms: None,
            since: "1970-01-01T00:00:00.000Z".into(),
            leader: Some(crate::status::Leader {
                id: hostile.into(),
                advertise: Some(hostile.into()),
            }),
            transitions: 0,
            held_back: None,
        };
        let html = render(hostile, "0.1.0", &[answer]).unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)"));
    }
}
