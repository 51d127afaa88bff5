//! What a service account signs to get a token: an RS256 JWT (RFC 7519, RFC 7523).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

/// How long an assertion holds.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The claims of an assertion.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// Who asks: the account's address.
    pub issuer: &'a str,
    /// What for.
    pub scope: &'a str,
    /// Whom.
    pub audience: &'a str,
    /// When.
    pub now: SystemTime,
}

/// The signed assertion. `None`: `key` is no RSA key in PEM (PKCS #8 or PKCS #1) of at least 2048 bits.
pub fn sign(claims: Claims<'_>, key: &SecretString) -> Option<SecretString> {
    let key = key_pair(key.expose_secret())?;
    let now = claims.now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let payload = json!({
        "iss": claims.issuer,
        "scope": claims.scope,
        "aud": claims.audience,
        "exp": (now + LIFETIME).as_secs(),
        "iat": now.as_secs(),
    });
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let message = format!(
        "{}.{}",
        encode(json!({"alg": "RS256"}).to_string().as_bytes()),
        encode(payload.to_string().as_bytes())
    );
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).ok()?;
    Some(format!("{message}.{}", encode(&signature)).into())
}

fn key_pair(pem: &str) -> Option<RsaKeyPair> {
    if let Some(key) = der(pem, "PRIVATE KEY") {
        return RsaKeyPair::from_pkcs8(&key).ok();
    }
    RsaKeyPair::from_der(&der(pem, "RSA PRIVATE KEY")?).ok()
}

/// The bytes of the first PEM block with this label.
fn der(pem: &str, label: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    const PKCS8: &str = include_str!("../../../../tests/data/google/test_key.pem");
    const PKCS1: &str = include_str!("../../../../tests/data/google/test_key_pkcs1.pem");

    fn claims() -> Claims<'static> {
        let now = UNIX_EPOCH + Duration::from_millis(1_767_323_045_900);
        Claims { issuer: "svc@p.test", scope: "the scope", audience: "https://token.test", now }
    }

    #[test]
    fn an_assertion_is_signed_with_the_account_s_key() {
        let public = key_pair(PKCS8).expect("a key").public().as_ref().to_vec();
        for pem in [PKCS8, PKCS1, &PKCS8.replace('\n', "\r\n"), &format!("comment\n{PKCS8}")] {
            let assertion = sign(claims(), &pem.into()).expect("an assertion");
            let assertion = assertion.expose_secret();
            let (message, signature) = assertion.rsplit_once('.').expect("three parts");
            let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public);
            assert_eq!(key.verify(message.as_bytes(), &signature), Ok(()));
            let part = |at: usize| -> Value {
                let part = message.split('.').nth(at).expect("a part");
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
            };
            assert_eq!(part(0), json!({"alg": "RS256"}));
            assert_eq!(
                part(1),
                json!({
                    "iss": "svc@p.test", "scope": "the scope", "aud": "https://token.test",
                    "iat": 1_767_323_045, "exp": 1_767_326_645,
                })
            );
        }
    }

    #[test]
    fn what_is_no_key_signs_nothing() {
        let half = &PKCS8[..PKCS8.len() / 2];
        let broken = PKCS8.replacen("MII", "!!!", 1);
        let mislabelled = PKCS1.replace("RSA PRIVATE", "PRIVATE");
        for pem in ["", "key", half, &broken, &mislabelled, "-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----"] {
            assert!(sign(claims(), &pem.into()).is_none(), "{pem}");
        }
    }
}
