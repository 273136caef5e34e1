//! Seals what workers tell each other about an app's tokens, so that only who has the app's secret can read it.
//!
//! AES-256-GCM under a key that HKDF-SHA-256 makes of the app's secret. What is sealed is bound to its format, group and
//! key in the log, so that it means nothing in any other place. It knows no log; randomness is an argument, and only of
//! a secure source.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::SecureRandom;
use secrecy::{ExposeSecret, SecretString};

/// The first byte of a sealed record. Another number is of another release, and is not for this one to read.
const FORMAT: u8 = 1;
const SALT: &[u8] = b"order-sync shared tokens 1";
/// Nothing longer is opened: tokens have some hundred bytes.
const SEALED_BYTES_MAX: usize = 16 * 1024;

/// Sealing has failed: the system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers; look at its kernel log")]
pub(super) struct Unsealable;

/// Where a sealed record belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The consumer group.
    pub(super) group: &'a str,
    /// The app whose secret makes the key.
    pub(super) app_id: &'a str,
    /// The record's key.
    pub(super) key: &'a str,
}

impl Place<'_> {
    /// No two places give the same bytes: a length stands before each part.
    fn associated(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        for part in [self.group, self.app_id, self.key] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    fn cipher(&self, secret: &SecretString) -> Option<LessSafeKey> {
        let app_id = [self.app_id.as_bytes()];
        let material = Salt::new(HKDF_SHA256, SALT).extract(secret.expose_secret().as_bytes());
        let key = UnboundKey::from(material.expand(&app_id, &AES_256_GCM).ok()?);
        Some(LessSafeKey::new(key))
    }
}

/// Format, nonce, then the sealed text and its tag. The nonce is random: a key seals some ten records in an hour, far
/// below the 2^32 up to which no repeat is to be feared.
pub(super) fn seal(
    place: Place<'_>,
    secret: &SecretString,
    text: &SecretString,
    random: &dyn SecureRandom,
) -> Result<Vec<u8>, Unsealable> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce).map_err(|_| Unsealable)?;
    let mut sealed = text.expose_secret().as_bytes().to_vec();
    let cipher = place.cipher(secret).ok_or(Unsealable)?;
    let tag = cipher
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.associated()), &mut sealed)
        .map_err(|_| Unsealable)?;
    Ok([&[FORMAT], nonce.as_slice(), &sealed, tag.as_ref()].concat())
}

/// The text; `None` where it was sealed with another secret, for another place, in another format, or was changed.
pub(super) fn open(place: Place<'_>, secret: &SecretString, sealed: &[u8]) -> Option<SecretString> {
    let (format, rest) = sealed.split_first()?;
    if *format != FORMAT || sealed.len() > SEALED_BYTES_MAX {
        return None;
    }
    let (nonce, rest) = rest.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = rest.to_vec();
    let opened = place.cipher(secret)?.open_in_place(nonce, Aad::from(place.associated()), &mut text).ok()?;
    Some(SecretString::from(std::str::from_utf8(opened).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::rand::SystemRandom;

    use super::*;

    const PLACE: Place<'static> = Place { group: "g", app_id: "tt1", key: "tt1/token" };

    fn sealed(text: &str) -> Vec<u8> {
        seal(PLACE, &"secret".into(), &text.into(), &SystemRandom::new()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_with_its_secret_alone() {
        let sealed = sealed("token-canary");
        let check = |place: Place<'_>, secret: &str, expect: Option<&str>| {
            let opened = open(place, &secret.into(), &sealed);
            assert_eq!(opened.as_ref().map(ExposeSecret::expose_secret), expect, "{place:?} {secret}");
        };
        check(PLACE, "secret", Some("token-canary"));
        check(PLACE, "Secret", None);
        check(PLACE, "", None);
        check(Place { group: "h", ..PLACE }, "secret", None);
        check(Place { app_id: "tt2", ..PLACE }, "secret", None);
        check(Place { key: "tt1/claim", ..PLACE }, "secret", None);
        check(Place { group: "gt", app_id: "t1", ..PLACE }, "secret", None);
    }

    /// Of this alone, as the key of another app would not open it either.
    #[test]
    fn no_two_places_give_the_same_bytes() {
        assert_ne!(Place { group: "gt", app_id: "t1", ..PLACE }.associated(), PLACE.associated());
        assert_ne!(Place { app_id: "tt1tt1", key: "/token", ..PLACE }.associated(), PLACE.associated());
    }

    #[test]
    fn sealed_bytes_hold_neither_token_nor_secret_and_never_repeat() {
        let all: Vec<Vec<u8>> = (0..1_000).map(|_| sealed("token-canary")).collect();
        for bytes in &all {
            for canary in ["token-canary", "canary", "secret"] {
                assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()));
            }
        }
        let nonces: std::collections::HashSet<&[u8]> = all.iter().map(|bytes| &bytes[1..=NONCE_LEN]).collect();
        assert_eq!(nonces.len(), all.len());
    }

    proptest! {
        #[test]
        fn a_changed_byte_or_length_does_not_open(at in 0usize..100, with in 1u8..=255, cut in 0usize..41) {
            let whole = sealed("token-canary");
            let mut changed = whole.clone();
            let at = at % changed.len();
            changed[at] ^= with;
            prop_assert!(open(PLACE, &"secret".into(), &changed).is_none());
            prop_assert!(open(PLACE, &"secret".into(), &whole[..cut.min(whole.len() - 1)]).is_none());
        }

        #[test]
        fn any_text_comes_back(text in ".{0,200}") {
            let opened = open(PLACE, &"secret".into(), &sealed(&text)).unwrap();
            prop_assert_eq!(opened.expose_secret(), text);
        }
    }
}
