//! Which changelog a position is of: a topic's name says nothing of what it was before it was lost and made anew.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fold_settings::sixteen_digits;

/// A number drawn with the first position of a source partition in its changelog, and with each that a rebase writes; every
/// later position carries it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ChangelogId(pub u64);

impl fmt::Display for ChangelogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<ChangelogId> for String {
    fn from(id: ChangelogId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ChangelogId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        sixteen_digits(&text).map(Self).ok_or_else(|| "a changelog's id has sixteen digits of 0-9 and a-f".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_one_way() {
        for id in [ChangelogId(0), ChangelogId(0xaf), ChangelogId(u64::MAX)] {
            assert_eq!(ChangelogId::try_from(id.to_string()), Ok(id));
        }
        for text in ["", "af", "00000000000000AF", "+0000000000000af", "000000000000000af"] {
            assert!(ChangelogId::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
