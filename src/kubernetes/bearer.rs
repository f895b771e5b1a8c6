//! Who this is to the API, where it says so by a token.

use super::access::Source;
use hyper::header::HeaderValue;

/// The header that shows the token.
///
/// # Errors
/// A sentence that says where the token stands, without the token.
pub(super) fn read(token: &Source) -> Result<HeaderValue, String> {
    let content = token.read()?;
    header(content.trim_ascii()).map_err(|why| format!("{token}: the token {why}"))
}

fn header(token: &[u8]) -> Result<HeaderValue, &'static str> {
    if token.is_empty() {
        return Err("is empty");
    }
    let value = [b"Bearer ", token].concat();
    let mut value =
        HeaderValue::from_bytes(&value).map_err(|_| "has more in it than printable ASCII")?;
    value.set_sensitive(true);
    Ok(value)
}
