//! The token that whoever asks on the api has to know.
//!
//! It is read from a file, never from the config or the command line, where `ps`, `tenure check` and logs would show
//! it; and it has no way out but into the header of a request. It isn't wiped from memory: it is needed for as
//! long as the process lives, and every request brings another copy. Instead nobody may look into that memory
//! ([`keep_memory_private`]).

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use subtle::ConstantTimeEq;

/// A bearer token.
pub struct Token(String);

/// Nobody guesses as many, and everybody who makes one with a tool has more.
const SHORTEST: usize = 16;

/// Still fits into a request's head.
const LONGEST: usize = 4096;

impl Token {
    /// What is in a file, but for the line break at its end.
    ///
    /// # Errors
    /// A sentence on what is wrong with it, without what is in it.
    pub fn parse(content: &[u8]) -> Result<Self, String> {
        let text = content.trim_ascii_end();
        if text.len() < SHORTEST || text.len() > LONGEST {
            return Err(format!(
                "the token has {} characters; use {SHORTEST} to {LONGEST}, as from openssl rand -hex 32",
                text.len()
            ));
        }
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(
                "the token has more in it than printable ASCII; make one with openssl rand -hex 32"
                    .to_owned(),
            );
        }
        Ok(Token(String::from_utf8_lossy(text).into_owned()))
    }

    /// Whether somebody knows it. How much of it they know can't be told from the time this takes, only how long it is.
    pub fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }

    /// The value of the header that shows it.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(not shown)")
    }
}

/// Reads a file that holds a token, a key or certificates.
///
/// # Errors
/// A sentence that names the file.
pub fn read(file: &Path) -> Result<Vec<u8>, String> {
    // Longer than any chain of certificates, and an end to what has none.
    const LONGEST_FILE: u64 = 1024 * 1024;
    let named = |error: &dyn fmt::Display| format!("{}: {error}", file.display());
    let mut content = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(LONGEST_FILE + 1).read_to_end(&mut content))
        .map_err(|error| named(&error))?;
    if content.len() as u64 > LONGEST_FILE {
        return Err(named(&"is longer than 1 MiB; name another file"));
    }
    Ok(content)
}

/// From now on neither a core dump nor a debugger of the same user shows this process's memory. What it executes
/// is its own master again, and so is the application.
///
/// # Errors
/// Where the kernel refuses.
pub fn keep_memory_private() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_the_file_holds_without_the_line_break_and_is_known_only_as_a_whole() {
        let token = Token::parse(b"0123456789abcdef\r\n").unwrap();
        assert!(token.is(b"0123456789abcdef"));
        for other in [
            "0123456789abcdeF",
            "0123456789abcde",
            "0123456789abcdef0",
            "",
        ] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
        assert_eq!(token.authorization(), "Bearer 0123456789abcdef");
    }

    #[test]
    fn a_token_that_is_no_good_is_refused_without_being_shown() {
        for content in [
            &b"short-s3cret"[..],
            b"s3cret with spaces in it",
            b"s3cret\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            let error = Token::parse(content).unwrap_err();
            assert!(
                !error.contains("s3cret") && error.contains("openssl"),
                "{error}"
            );
        }
        assert!(Token::parse(&[b'a'; 5000]).is_err());
    }

    #[test]
    fn a_token_is_not_shown_to_those_who_debug() {
        let token = Token::parse(b"0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token(not shown)");
    }

    #[test]
    fn a_file_without_an_end_is_not_read_for_ever() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error, "/dev/zero: is longer than 1 MiB; name another file");
    }
}
