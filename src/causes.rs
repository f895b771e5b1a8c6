//! An error in words, with what its own text leaves out.

use std::error::Error;

/// An error, and the causes that it does not name.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    followed_by(&error.to_string(), error.source())
}

/// A sentence, and the causes that it does not name.
pub fn followed_by(sentence: &str, mut cause: Option<&(dyn Error + 'static)>) -> String {
    let mut text = sentence.to_owned();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
