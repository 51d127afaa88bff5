//! Where requests go (spec 07 §15.1).

use url::Url;

use crate::providers::auth::aws::dns_suffix;

/// What decides about the address, besides model and operation.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// Address of the profile, else of the environment; replaces AWS's own, its path included.
    pub custom: Option<&'a str>,
    /// Region.
    pub region: &'a str,
    /// Whether AWS's own address is to be one that meets FIPS 140.
    pub fips: bool,
}

impl Endpoint<'_> {
    /// The address of an operation on a model; `None` if the custom address or the region is none.
    pub fn url(self, model_id: &str, operation: &str) -> Option<String> {
        let base = match self.custom {
            Some(custom) => Url::parse(custom).ok()?,
            None if !is_host_label(self.region) => return None,
            None => {
                let fips = if self.fips { "-fips" } else { "" };
                let suffix = dns_suffix(self.region);
                Url::parse(&format!("https://bedrock-runtime{fips}.{}.{suffix}", self.region)).ok()?
            }
        };
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return None;
        }
        let path = base.path().strip_suffix('/').unwrap_or(base.path());
        let origin = base.origin().ascii_serialization();
        Some(format!("{origin}{path}/model/{}/{operation}", encode_segment(model_id)))
    }
}

/// Whether a region can be part of a host: with other characters, signed requests would go to a host of their choice.
fn is_host_label(region: &str) -> bool {
    (1..=63).contains(&region.len()) && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Percent-encodes everything but letters, digits and `- . _ ~`.
fn encode_segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (custom, region, fips, expected) in [
            (None, "us-east-1", false, Some("https://bedrock-runtime.us-east-1.amazonaws.com")),
            (None, "us-east-1", true, Some("https://bedrock-runtime-fips.us-east-1.amazonaws.com")),
            (None, "us-gov-west-1", false, Some("https://bedrock-runtime.us-gov-west-1.amazonaws.com")),
            (None, "cn-north-1", false, Some("https://bedrock-runtime.cn-north-1.amazonaws.com.cn")),
            (None, "us-isob-east-1", false, Some("https://bedrock-runtime.us-isob-east-1.sc2s.sgov.gov")),
            (None, "evil.example/", false, None),
            (None, "", false, None),
            (Some("https://vpce-1.example"), "us-east-1", true, Some("https://vpce-1.example")),
            (Some("http://proxy.example:8443/aws/"), "x", false, Some("http://proxy.example:8443/aws")),
            (Some("https://proxy.example/a//?q=1"), "x", false, Some("https://proxy.example/a/")),
            (Some("ftp://proxy.example"), "x", false, None),
            (Some("proxy.example"), "x", false, None),
        ] {
            let url = Endpoint { custom, region, fips }.url("a.b-v1:0/ü", "converse");
            let expected = expected.map(|base| format!("{base}/model/a.b-v1%3A0%2F%C3%BC/converse"));
            assert_eq!(url, expected, "{custom:?} {region}");
        }
    }
}
