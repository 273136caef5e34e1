//! What a worker says of itself: the answer of `/readyz` at its admin address, for the tools.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::client::{self, ClientError};
use super::{answer, breaks};
use crate::config::Douyin;
use crate::douyin::verdict::Break;

/// How long a worker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a worker knows of its apps; what it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WorkerApps {
    /// Where each app's circuit stands: `closed`, `half-open`, `open`, `suspended`.
    pub circuits: BTreeMap<String, String>,
    /// Seconds since each app's token was taken up.
    pub token_age_seconds: BTreeMap<String, u64>,
}

/// A worker cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The address is none.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no answer.
    #[error("no answer ({0}): is the worker running, and is this its admin.listen?")]
    Broken(&'static str),
    /// It is not a worker's.
    #[error("that is no answer of a worker (HTTP {0}): is this its admin.listen?")]
    Answer(u16),
}

/// Asks the worker at this address, `http://host:port`. Proxies are not used.
pub async fn apps(address: &str, douyin: &Douyin) -> Result<WorkerApps, AskError> {
    let url = client::endpoint("--admin", address, "/readyz")?;
    client::url("--admin", url.as_str())?;
    let douyin = Douyin { proxy: None, connect_timeout: TIMEOUT, request_timeout: TIMEOUT, ..douyin.clone() };
    let client = client::build(&douyin, &[&url], 1)?;
    let answered = match client.get(url).send().await {
        Ok(response) => answer::read(response).await,
        Err(error) => Err(breaks::of(&error)),
    };
    let answer = answered.map_err(|error: Break| AskError::Broken(error.as_str()))?;
    // 503 is a worker that is not ready: it says as much.
    let said = Some(&answer.body).filter(|_| matches!(answer.status, 200 | 503));
    said.and_then(|body| serde_json::from_slice(body).ok()).ok_or(AskError::Answer(answer.status))
}
