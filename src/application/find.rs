//! Where a command is, before it is needed: a typing error is told at once, not when leadership comes.

use rustix::fs::{Access, access};
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Why a command can't be run.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is no such file.
    #[error("{0:?}: command not found; give its full path, or add its directory to PATH")]
    NotFound(PathBuf),
    /// There is, but it can't be executed.
    #[error("{0:?}: can't be executed ({1}); make it an executable file")]
    NotExecutable(PathBuf, String),
}

impl FindError {
    /// What comes of an exec that failed.
    pub(super) fn new(command: &OsStr, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => FindError::NotFound(command.into()),
            _ => FindError::NotExecutable(command.into(), error.to_string()),
        }
    }

    /// The exit status that shells use for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            FindError::NotFound(_) => 127,
            FindError::NotExecutable(..) => 126,
        }
    }
}

/// Looks for a command as an exec will.
///
/// # Errors
/// Where it is not found, or can't be executed.
pub fn find(command: &OsStr) -> Result<(), FindError> {
    // Where PATH isn't set, the C library looks here.
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    find_in(command, &path)
}

fn find_in(command: &OsStr, path: &OsStr) -> Result<(), FindError> {
    if command.as_bytes().contains(&b'/') {
        return executable(Path::new(command)).map_err(|error| FindError::new(command, &error));
    }
    let mut missed = io::Error::from(io::ErrorKind::NotFound);
    for directory in env::split_paths(path) {
        // An empty command would be the directory itself.
        match executable(&directory.join(command)) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => missed = error,
            Err(_) => {}
        }
    }
    Err(FindError::new(command, &missed))
}

fn executable(file: &Path) -> io::Result<()> {
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(access(file, Access::EXEC_OK)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn code(command: &Path, path: &Path) -> Option<u8> {
        let found = find_in(command.as_os_str(), path.as_os_str());
        found.err().map(|error| error.exit_code())
    }

    #[test]
    fn a_command_is_found_in_the_path_or_where_it_is_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let (here, nowhere) = (directory.path(), Path::new("/nowhere"));
        let (script, text) = (here.join("script"), here.join("text"));
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::write(&text, "").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&text, fs::Permissions::from_mode(0o644)).unwrap();

        assert_eq!(code(&script, nowhere), None);
        assert_eq!(code(Path::new("script"), here), None);
        assert_eq!(code(Path::new("script"), nowhere), Some(127));
        assert_eq!(code(Path::new("absent"), here), Some(127));
        assert_eq!(code(&here.join("absent"), here), Some(127));
        assert_eq!(code(Path::new("text"), here), Some(126));
        assert_eq!(code(&text, here), Some(126));
        assert_eq!(code(here, nowhere), Some(126), "a directory");
        assert!(code(Path::new(""), here).is_some());
    }

    #[test]
    fn it_says_what_to_do() {
        let error = find_in(OsStr::new("absent"), OsStr::new("/nowhere")).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""absent": command not found; give its full path, or add its directory to PATH"#
        );
    }
}
