//! Where a command is, before it is needed: a typing error is told at once, not when leadership comes.

use rustix::fs::{Access, access};
use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Why a command can't be run.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is no such file.
    #[error("{0:?}: command not found; give its full path, or add its directory to PATH")]
    NotFound(PathBuf),
    /// There is, but not what it is to be run by.
    #[error("{0:?}: its interpreter {1:?} is not found; install that, or mend the first line")]
    NoInterpreter(PathBuf, PathBuf),
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
            FindError::NotFound(_) | FindError::NoInterpreter(..) => 127,
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
        let file = Path::new(command);
        executable(file).map_err(|error| FindError::new(command, &error))?;
        return interpreted(command, file);
    }
    let mut missed = FindError::NotFound(command.into());
    for directory in env::split_paths(path) {
        let file = directory.join(command);
        // An empty command would be the directory itself.
        match executable(&file) {
            Ok(()) => match interpreted(command, &file) {
                Ok(()) => return Ok(()),
                Err(error) => missed = error,
            },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                missed = FindError::new(command, &error);
            }
            Err(_) => {}
        }
    }
    Err(missed)
}

fn executable(file: &Path) -> io::Result<()> {
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(access(file, Access::EXEC_OK)?)
}

/// Whether there is what a script's first line names.
fn interpreted(command: &OsStr, file: &Path) -> Result<(), FindError> {
    match interpreter(file) {
        Some(interpreter) if interpreter.try_exists().is_ok_and(|exists| !exists) => {
            Err(FindError::NoInterpreter(command.into(), interpreter))
        }
        _ => Ok(()),
    }
}

/// As far as the kernel reads it.
fn interpreter(file: &Path) -> Option<PathBuf> {
    let mut start = Vec::new();
    File::open(file)
        .ok()?
        .take(256)
        .read_to_end(&mut start)
        .ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n');
    let mut words = line
        .take(1)
        .flat_map(|line| line.split(|byte| b" \t\0".contains(byte)));
    let interpreter = words.find(|word| !word.is_empty())?;
    Some(OsStr::from_bytes(interpreter).into())
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
    fn a_script_whose_interpreter_is_missing_is_told_of_by_that() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let script = here.join("script");
        for (text, missing) in [
            ("#!/nowhere/sh -e\n", Some("/nowhere/sh")),
            ("#! \t/nowhere/sh", Some("/nowhere/sh")),
            ("#!/bin/sh\r\n", Some("/bin/sh\r")),
            ("#!/bin/sh -e\n", None),
            ("#!\n/nowhere/sh\n", None),
            ("/nowhere/sh\n", None),
            ("", None),
        ] {
            fs::write(&script, text).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
            for (command, path) in [
                (script.as_path(), Path::new("")),
                (Path::new("script"), here),
            ] {
                let found = find_in(command.as_os_str(), path.as_os_str());
                let Some(missing) = missing else {
                    assert!(found.is_ok(), "{text:?}");
                    continue;
                };
                let error = found.unwrap_err();
                let said = format!("its interpreter {missing:?} is not found");
                assert!(error.to_string().contains(&said), "{error}");
                assert_eq!(error.exit_code(), 127);
            }
        }
        // An exec looks on.
        fs::write(&script, "#!/nowhere/sh\n").unwrap();
        let path = env::join_paths([here, Path::new("/bin")]).unwrap();
        fs::rename(&script, here.join("sh")).unwrap();
        assert!(find_in(OsStr::new("sh"), &path).is_ok());
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
