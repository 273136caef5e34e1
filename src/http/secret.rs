//! Reads an app's secret, anew each time, so that a changed `secret_file` needs no restart.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use secrecy::SecretString;

use crate::config::Secret;

/// No secret is longer; a wrong path (a log, a device) must not fill the memory.
const SECRET_BYTES_MAX: u64 = 4 * 1024;

/// The secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("cannot read secret_file {path}: {source}; put the app's secret there, readable by this user")]
    Unreadable { path: String, source: io::Error },
    #[error("secret_file {path} is empty; put the app's secret there")]
    Empty { path: String },
    #[error("secret_file {path} is over {SECRET_BYTES_MAX} bytes or not UTF-8; it should hold the app's secret alone")]
    NoSecret { path: String },
}

/// The secret as it is now; surrounding white space of a file is cut. May wait for a disk.
pub(super) fn read(secret: &Secret) -> Result<SecretString, SecretError> {
    match secret {
        Secret::Inline(secret) => Ok(secret.clone()),
        Secret::File(path) => read_file(path),
    }
}

fn read_file(file: &Path) -> Result<SecretString, SecretError> {
    let path = || file.display().to_string();
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text));
    let length = match read {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(SecretError::NoSecret { path: path() }),
        Err(source) => return Err(SecretError::Unreadable { path: path(), source }),
    };
    if length as u64 > SECRET_BYTES_MAX {
        return Err(SecretError::NoSecret { path: path() });
    }
    match text.trim() {
        "" => Err(SecretError::Empty { path: path() }),
        secret => Ok(SecretString::from(secret)),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn check(content: Option<&[u8]>, expect: Result<&str, &str>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        match (read(&Secret::File(path)), expect) {
            (Ok(secret), Ok(expect)) => assert_eq!(secret.expose_secret(), expect),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (seen, expect) => panic!("{seen:?}, not {expect:?}"),
        }
    }

    #[test]
    fn a_secret_file_is_trimmed_and_bounded() {
        check(Some(b"s3cret"), Ok("s3cret"));
        check(Some(b"\n s3cret \r\n"), Ok("s3cret"));
        check(Some(b" \n"), Err("is empty"));
        check(Some(b""), Err("is empty"));
        check(None, Err("cannot read"));
        check(Some(&[b'x'; 5_000]), Err("over 4096 bytes"));
        check(Some(b"\xff\xfe"), Err("not UTF-8"));
    }
}
