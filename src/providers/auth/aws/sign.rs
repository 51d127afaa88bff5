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
