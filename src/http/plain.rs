//! What the page shows where its script doesn't run: a table, and everything in it escaped.

use crate::status::Answer;
use std::fmt::{self, Display, Write};

/// More would be of no use without a way to search.
const MOST: usize = 100;

/// These elections as HTML.
pub(super) fn table(answers: impl ExactSizeIterator<Item = Answer>) -> Result<String, fmt::Error> {
    let mut html = String::from(
        "<table><tr><th>Election</th><th>State</th><th>Leader</th><th>Since</th></tr>\n",
    );
    let more = answers.len().saturating_sub(MOST);
    for answer in answers.take(MOST) {
        let leader = answer.leader.as_ref();
        writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{} {}</td><td>{}</td></tr>",
            Escaped(&answer.election),
            answer.state,
            Escaped(leader.map_or("unknown", |leader| &leader.id)),
            Escaped(leader.and_then(|l| l.advertise.as_deref()).unwrap_or("")),
            answer.since,
        )?;
    }
    html.push_str("</table>");
    if more > 0 {
        write!(html, "<p>and {more} more</p>")?;
    }
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
                // They would turn the words around round.
                '\u{61c}' | '\u{200e}' | '\u{200f}' => f.write_char('\u{fffd}')?,
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_char('\u{fffd}')?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}
