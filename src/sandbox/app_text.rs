//! An app that the sandbox knows, written `id:secret[:client_key]`.

use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;

/// The credentials of one app.
#[derive(Clone)]
pub struct AppCredentials {
    /// `tt…`
    pub app_id: String,
    /// The only secret that is taken.
    pub secret: SecretString,
    /// The client key that POI pushes must carry, and another name at the client-token endpoints.
    pub client_key: Option<String>,
}

impl FromStr for AppCredentials {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(app_id), Some(secret), client_key)
                if !app_id.is_empty() && !secret.is_empty() && client_key.as_deref() != Some("") =>
            {
                Ok(Self { app_id, secret: secret.into(), client_key })
            }
            // The text is not repeated: it may hold a secret.
            _ => Err("write an app as id:secret or id:secret:client_key".to_owned()),
        }
    }
}

impl fmt::Debug for AppCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppCredentials").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}
