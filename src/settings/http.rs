//! Settings of the connections to providers.
//!
//! The key `httpProxy` belongs to them and stands among the secrets, since its address may hold a password: the address of
//! an HTTP proxy for all requests, or `direct` for none. Absent, the environment's `HTTPS_PROXY`, `HTTP_PROXY` and
//! `ALL_PROXY` count, as they were when the engine was opened.

use serde::{Deserialize, Serialize};

/// How providers are reached. A change takes effect with the next request. A value that cannot be used fails the request by
/// the key's name; it never leads to a connection of another kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpSettings {
    /// Hosts that are reached without the proxy, by commas: names with their subdomains, addresses, networks (`10.0.0.0/8`),
    /// `*` for all. Absent: the environment's `NO_PROXY`.
    pub http_no_proxy: Option<String>,
    /// Absolute path of a PEM file with certificates of authorities that are trusted besides Mozilla's.
    pub http_ca_certificates: Option<String>,
    /// Hold requests back that the service's rate limit would refuse. Off: they are sent at once.
    pub http_rate_limit: bool,
    /// Leave a service alone for a while after several failures in a row.
    pub http_circuit_breaker: bool,
}
