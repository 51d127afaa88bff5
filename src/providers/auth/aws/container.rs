//! Keys from the service of a container (ECS, EKS).

use std::net::IpAddr;
use std::path::Path;

use url::{Host, Url};

use super::fetch::{SERVED, from_json};
use super::profiles::read;
use super::service::{ask_json, headers};
use super::source::{ContainerToken, variable};
use super::{AwsError, Credentials};
use crate::providers::Surroundings;
use crate::providers::http::HttpRequest;

const SERVICE: &str = "container";
/// Addresses, besides the machine's own, that may be spoken to without encryption: those of ECS and EKS.
const KNOWN: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Keys from `address`.
///
/// # Errors
/// An address that would show the token to strangers, no token where there should be one, or no keys.
pub async fn keys(address: &str, token: &ContainerToken, surroundings: &Surroundings) -> Result<Credentials, AwsError> {
    let url = Url::parse(address).ok().filter(|url| url.has_host());
    let url =
        url.ok_or(AwsError::Setting { place: "environment".into(), key: "AWS_CONTAINER_CREDENTIALS_FULL_URI" })?;
    if !is_safe(&url) {
        return Err(AwsError::UnsafeAddress { host: url.host_str().unwrap_or("").to_owned() });
    }
    let token = match token {
        ContainerToken::Nothing => None,
        ContainerToken::File(file) => Some(read_token(file).await?),
        ContainerToken::Variable => variable(&surroundings.environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let headers = match &token {
        Some(token) => headers(&[("Accept", "application/json"), ("Authorization", token)])?,
        None => headers(&[("Accept", "application/json")])?,
    };
    let answer = ask_json(&surroundings.http, HttpRequest::get(url, headers), SERVICE).await?;
    from_json(&answer, SERVED).ok_or(AwsError::Unusable { service: SERVICE })
}

async fn read_token(file: &Path) -> Result<String, AwsError> {
    let not_found = || AwsError::File {
        path: file.to_owned(),
        cause: std::io::Error::from(std::io::ErrorKind::NotFound).to_string(),
    };
    Ok(read(file).await?.ok_or_else(not_found)?.trim().to_owned())
}

fn is_safe(url: &Url) -> bool {
    let known = |address: IpAddr| address.is_loopback() || KNOWN.contains(&address.to_string().as_str());
    match (url.scheme(), url.host()) {
        ("https", _) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => known(address.into()),
        ("http", Some(Host::Ipv6(address))) => known(address.into()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_shown_to_strangers() {
        for (address, expected) in [
            ("https://any.example/x", true),
            ("http://169.254.170.2/x", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://127.0.0.7:80/x", true),
            ("http://[::1]/x", true),
            ("http://localhost/x", true),
            ("http://any.example/x", false),
            ("http://169.254.169.254/x", false),
            ("file:///x", false),
        ] {
            assert_eq!(is_safe(&Url::parse(address).expect("an address")), expected, "{address}");
        }
    }
}
