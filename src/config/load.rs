//! Reads the file, which may be anything.

use super::error::ConfigError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Far more than any config needs; a wrong path may lead to a file of any size.
const LARGEST: u64 = 1024 * 1024;

/// The text of the file.
pub(super) fn text(path: &Path) -> Result<String, ConfigError> {
    let error = |position, message: String| ConfigError {
        origin: path.display().to_string(),
        position,
        key: String::new(),
        message,
    };
    let bytes = bytes(path).map_err(|cause| {
        let message = match cause.kind() {
            io::ErrorKind::NotFound => "no such file; give --config the path of a config file",
            io::ErrorKind::IsADirectory => "is a directory; give --config a file in it",
            io::ErrorKind::PermissionDenied => "may not be read; let this user read it",
            _ => return error(None, format!("can't be read: {cause}")),
        };
        error(None, message.to_owned())
    })?;
    if bytes.len() as u64 > LARGEST {
        let message = format!("is larger than {LARGEST} bytes; is it a config file?");
        return Err(error(None, message));
    }
    String::from_utf8(bytes).map_err(|cause| {
        let before = &cause.as_bytes()[..cause.utf8_error().valid_up_to()];
        let line = String::from_utf8_lossy(before);
        let column = line.rsplit('\n').next().unwrap_or_default().chars().count();
        let position = (line.matches('\n').count() + 1, column + 1);
        error(Some(position), "is not UTF-8; save it as UTF-8".to_owned())
    })
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
