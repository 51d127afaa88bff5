//! Signature version 4.

use std::time::SystemTime;

use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign as sign_v4};
use aws_sigv4::sign::v4::SigningParams;
use secrecy::ExposeSecret;

use super::{AwsError, Credentials};
use crate::providers::http::{HttpRequest, set_header};

/// Signs a request that is otherwise ready: adds `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` and
/// `authorization`. The path is encoded once more in what is signed, as all services but S3 want it.
///
/// # Errors
/// [`AwsError::Unsignable`]: an address or header that cannot be sent.
pub fn sign(
    request: &mut HttpRequest,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: SystemTime,
) -> Result<(), AwsError> {
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = aws_credential_types::Credentials::new(
        credentials.access_key.as_str(),
        credentials.secret_key.expose_secret(),
        credentials.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
        None,
        "lapce-ai",
    )
    .into();
    let parameters = SigningParams::builder().identity(&identity).region(region).name(service).time(now);
    let parameters = parameters.settings(settings).build().map_err(|_| AwsError::Unsignable)?.into();
    let headers: Result<Vec<_>, _> =
        request.headers.iter().map(|(name, value)| value.to_str().map(|value| (name.as_str(), value))).collect();
    let headers = headers.map_err(|_| AwsError::Unsignable)?;
    let body = SignableBody::Bytes(&request.body);
    let signable = SignableRequest::new(request.method.as_str(), &request.url, headers.into_iter(), body);
    let signed = sign_v4(signable.map_err(|_| AwsError::Unsignable)?, &parameters);
    let (instructions, _) = signed.map_err(|_| AwsError::Unsignable)?.into_parts();
    for (name, value) in instructions.headers() {
        set_header(&mut request.headers, name, value).map_err(|_| AwsError::Unsignable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ring::{digest, hmac};
    use std::time::{Duration, UNIX_EPOCH};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn request(url: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let mut request = HttpRequest::get(url, Default::default());
        headers.iter().for_each(|(name, value)| set_header(&mut request.headers, name, value).expect("a header"));
        request
    }

    /// "Example: GET Object" of AWS's description of the signature.
    #[test]
    fn the_published_example() {
        let mut request = request("https://examplebucket.s3.amazonaws.com/test.txt", &[("range", "bytes=0-9")]);
        let keys = Credentials::fixed("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None);
        let now = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        sign(&mut request, &keys.expect("keys"), "us-east-1", "s3", now).expect("signed");
        assert_eq!(
            request.headers["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert!(request.headers.values().all(|value| value.is_sensitive()));
    }

    /// The same by hand, with a path that is encoded once more, a port and a session token.
    #[test]
    fn the_path_is_encoded_once_more() {
        let mut request = request("http://h.example:81/model/a%3Ab/converse", &[("content-type", "application/json")]);
        request.body = Bytes::from_static(b"{}");
        let keys = Credentials::fixed("AKID", "secret", Some("token")).expect("keys");
        let now = UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        sign(&mut request, &keys, "us-east-1", "bedrock", now).expect("signed");
        let hash = hex(digest::digest(&digest::SHA256, b"{}").as_ref());
        let names = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
        let canonical = format!(
            "GET\n/model/a%253Ab/converse\n\ncontent-type:application/json\nhost:h.example:81\nx-amz-content-sha256:{hash}\n\
             x-amz-date:20260102T030405Z\nx-amz-security-token:token\n\n{names}\n{hash}"
        );
        let scope = "20260102/us-east-1/bedrock/aws4_request";
        let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n20260102T030405Z\n{scope}\n{digest}");
        let mac = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
        };
        let key = scope.split('/').fold(b"AWS4secret".to_vec(), |key, part| mac(&key, part));
        let signature = hex(&mac(&key, &text));
        assert_eq!(
            request.headers["authorization"],
            format!("AWS4-HMAC-SHA256 Credential=AKID/{scope}, SignedHeaders={names}, Signature={signature}")
        );
        assert_eq!(request.headers["x-amz-content-sha256"], hash);
    }
}
