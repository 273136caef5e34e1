//! Tokens from a file that another program keeps: read when asked for, and looked at every second for a change.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::edge::Shared;
use super::fetch::{cut_short, refused};
use crate::douyin::token::{Fetched, Refused};
use crate::douyin::verdict::Verdict;
use crate::order::AppId;
use crate::sync::ports::{Input, TokenFrom};

/// Tokens have some hundred bytes; a wrong path must not fill the memory.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Its life is the other program's business; within this time the file is read again in any case.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);
/// The rule for a file without a token.
const FILE_RULE: &str = "token_file";

/// The token as the file holds it now.
#[derive(Deserialize)]
struct Held {
    access_token: String,
}

/// Reads the file, beside the runtime's workers.
pub(super) async fn fetch(path: PathBuf) -> Result<Fetched, Refused> {
    let read = tokio::task::spawn_blocking(move || read(&path)).await.map_err(|_| cut_short())?;
    let token = read.map_err(|words| refused(Verdict::Retry, FILE_RULE, format!("no token: {words}")))?;
    Ok(Fetched { token, lifetime: LIFETIME })
}

/// Tells the engine of every token that the file comes to hold. Ends with its task.
pub(super) async fn watch(shared: Arc<Shared>, app_id: AppId, path: PathBuf) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let (Ok(fetched), Some(slot)) = (fetch(path.clone()).await, shared.apps.get(&app_id)) else { continue };
        // The first one is asked for, and a file that cannot be read is told to who asks.
        if slot.token.current().is_some() && slot.token.differs(&fetched.token) {
            let token = slot.token.replace(fetched.token);
            let from = TokenFrom::Company { is_other: true };
            let input = Input::TokenFetched { app_id: app_id.clone(), token, lifetime: fetched.lifetime, from };
            if shared.inbox.send(input).is_err() {
                return;
            }
        }
    }
}

fn read(path: &Path) -> Result<SecretString, String> {
    let name = path.display();
    let mut text = String::new();
    let opened = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    match opened {
        Ok(length) if length as u64 > FILE_BYTES_MAX => {
            return Err(format!("token_file {name} is over {FILE_BYTES_MAX} bytes; it should hold the token alone"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(format!("token_file {name} is not UTF-8; it should hold the token alone"));
        }
        Err(error) => {
            return Err(format!("cannot read token_file {name}: {error}; let it be written, readable by this user"));
        }
    }
    let token = match text.trim() {
        json if json.starts_with('{') => serde_json::from_str::<Held>(json).map(|held| held.access_token).ok(),
        plain => Some(plain.to_owned()),
    };
    match token.filter(|token| !token.is_empty() && !token.contains(char::is_whitespace)) {
        Some(token) => Ok(SecretString::from(token)),
        None => Err(format!("token_file {name} holds no token; write the token alone, or {{\"access_token\": \"…\"}}")),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn check(content: &str, expect: Result<&str, &str>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, content).unwrap();
        match (read(&path), expect) {
            (Ok(token), Ok(expect)) => assert_eq!(token.expose_secret(), expect),
            (Err(words), Err(part)) => assert!(words.contains(part), "{words}"),
            (seen, expect) => panic!("{seen:?}, not {expect:?}"),
        }
    }

    #[test]
    fn a_file_holds_the_token_alone_or_as_json() {
        check(" 0801abc\n", Ok("0801abc"));
        check(r#"{"access_token": "0801abc", "expires_in": 7200}"#, Ok("0801abc"));
        check("\n", Err("holds no token"));
        check("{}", Err("holds no token"));
        check(r#"{"access_token": ""}"#, Err("holds no token"));
        check("two words", Err("holds no token"));
        check(&"x".repeat(20_000), Err("over 16384 bytes"));
        let missing = read(Path::new("/nowhere/token")).unwrap_err();
        assert!(missing.contains("cannot read token_file /nowhere/token"), "{missing}");
    }
}
