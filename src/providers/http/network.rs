//! The way to the network: proxies and certificates, from settings or the environment.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, NoProxy, Proxy};
use secrecy::{ExposeSecret, SecretString};

use super::TransportError;
use crate::providers::{Environment, options::Options};
use crate::settings::Settings;

/// Value of `httpProxy` that means no proxy, whatever the environment says.
const DIRECT: &str = "direct";
/// Most bytes of a file with certificates.
const CERTIFICATES_LIMIT: u64 = 16 << 20;

/// Which requests a proxy takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    All,
    Https,
    Http,
}

/// A proxy, and where it was named.
#[derive(Clone, Debug)]
struct Way {
    takes: Takes,
    /// With its password.
    address: SecretString,
    named_by: &'static str,
}

impl PartialEq for Way {
    fn eq(&self, other: &Way) -> bool {
        (self.takes, self.address.expose_secret()) == (other.takes, other.address.expose_secret())
    }
}

/// Proxies and certificates of a profile. The default is a direct connection with Mozilla's roots.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// In the order they are asked.
    proxies: Vec<Way>,
    no_proxy: Option<String>,
    certificates: Option<PathBuf>,
}

impl Network {
    /// Reads the settings, and the environment for those that are absent. No file is read.
    ///
    /// # Errors
    /// The key or variable whose value cannot be used ([`TransportError::Setting`]).
    pub fn read(settings: &Settings, environment: &Environment) -> Result<Network, TransportError> {
        let no_proxy = match &settings.http.http_no_proxy {
            Some(own) => Some(checked_no_proxy(own)?),
            None => variable(environment, &["no_proxy", "NO_PROXY"]).map(|(_, list)| list),
        };
        Ok(Network { proxies: proxies(settings, environment)?, no_proxy, certificates: certificates(settings)? })
    }

    /// A client builder with these proxies and certificates. Reads the file of the certificates.
    ///
    /// # Errors
    /// A file that cannot be read or holds no certificates, by its key.
    pub fn apply(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, TransportError> {
        // The process's own environment is the host's business, not read below the engine.
        let mut builder = builder.no_proxy();
        for way in &self.proxies {
            let address = way.address.expose_secret();
            let proxy = match way.takes {
                Takes::All => Proxy::all(address),
                Takes::Https => Proxy::https(address),
                Takes::Http => Proxy::http(address),
            };
            let proxy = proxy.map_err(|_| refused(way.named_by, "is no address of a proxy"))?;
            builder = builder.proxy(proxy.no_proxy(self.no_proxy.as_deref().and_then(NoProxy::from_string)));
        }
        for certificate in self.certificates.as_deref().map(read_certificates).transpose()?.into_iter().flatten() {
            builder = builder.add_root_certificate(certificate);
        }
        Ok(builder)
    }

    /// Why a client could not be built: of all that is given to it, only certificates can be wrong.
    pub fn build_failed(&self) -> TransportError {
        match self.certificates {
            Some(_) => refused(CERTIFICATES, "holds a certificate that cannot be used"),
            None => TransportError::Connection("TLS is not available".into()),
        }
    }
}

const CERTIFICATES: &str = "httpCaCertificates";
const NO_PROXY: &str = "httpNoProxy";
const PROXY: &str = "httpProxy";

fn refused(key: &str, cause: impl Into<String>) -> TransportError {
    TransportError::Setting { key: key.into(), cause: cause.into() }
}

fn proxies(settings: &Settings, environment: &Environment) -> Result<Vec<Way>, TransportError> {
    if let Some(own) = Options::of(settings).secret_text(PROXY) {
        return match own.expose_secret() {
            DIRECT => Ok(Vec::new()),
            address => Ok(vec![Way { takes: Takes::All, address: checked_proxy(PROXY, address)?, named_by: PROXY }]),
        };
    }
    if settings.secrets.expose(PROXY).is_some() {
        return Err(refused(PROXY, "must be a text"));
    }
    let variables: [(Takes, &[&'static str]); 3] = [
        (Takes::Https, &["https_proxy", "HTTPS_PROXY"]),
        (Takes::Http, &["http_proxy", "HTTP_PROXY"]),
        (Takes::All, &["all_proxy", "ALL_PROXY"]),
    ];
    let mut ways = Vec::new();
    for (takes, names) in variables {
        if let Some((named_by, value)) = variable(environment, names) {
            ways.push(Way { takes, address: checked_proxy(named_by, &value)?, named_by });
        }
    }
    Ok(ways)
}

/// The first of these variables that is not empty, and its name.
fn variable(environment: &Environment, names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| Some((*name, environment(name).filter(|value| !value.trim().is_empty())?)))
}

/// The address with its scheme, which may be left out.
fn checked_proxy(named_by: &str, value: &str) -> Result<SecretString, TransportError> {
    let value = value.trim();
    let address = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = url::Url::parse(&address).map_err(|_| refused(named_by, "is no address of a proxy"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(address.into()),
        "http" | "https" => Err(refused(named_by, "is no address of a proxy")),
        scheme => Err(refused(named_by, format!("a proxy is reached by `http` or `https`, not by `{scheme}`"))),
    }
}

/// The list, if every entry can ever match: one that cannot would be an error nobody notices.
fn checked_no_proxy(list: &str) -> Result<String, TransportError> {
    let is_name = |entry: &str| entry.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let is_network = |entry: &str| {
        let Some((address, bits)) = entry.split_once('/') else { return false };
        match (address.parse::<IpAddr>(), bits.parse::<u8>()) {
            (Ok(IpAddr::V4(_)), Ok(bits)) => bits <= 32,
            (Ok(IpAddr::V6(_)), Ok(bits)) => bits <= 128,
            _ => false,
        }
    };
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        if entry != "*" && entry.parse::<IpAddr>().is_err() && !is_name(entry) && !is_network(entry) {
            return Err(refused(NO_PROXY, format!("`{entry}` is no host, address or network")));
        }
    }
    Ok(list.to_owned())
}

fn certificates(settings: &Settings) -> Result<Option<PathBuf>, TransportError> {
    let Some(path) = settings.http.http_ca_certificates.as_deref() else { return Ok(None) };
    match Path::new(path) {
        path if path.is_absolute() => Ok(Some(path.to_owned())),
        _ => Err(refused(CERTIFICATES, "must be an absolute path")),
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, TransportError> {
    use std::io::Read;

    let failed = |error: std::io::Error| refused(CERTIFICATES, format!("{}: {error}", path.display()));
    // Anything else, such as a pipe, might never end.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(refused(CERTIFICATES, format!("{} is no file", path.display())));
    }
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(CERTIFICATES_LIMIT + 1).read_to_end(&mut pem).map_err(failed)?;
    if pem.len() as u64 > CERTIFICATES_LIMIT {
        let limit = CERTIFICATES_LIMIT >> 20;
        return Err(refused(CERTIFICATES, format!("{} is larger than {limit} MiB", path.display())));
    }
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(refused(CERTIFICATES, format!("{} holds no certificates in PEM form", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn read(settings: &Value, variables: &'static [(&'static str, &'static str)]) -> Result<Network, TransportError> {
        let settings: Settings = serde_json::from_value(settings.clone()).expect("settings");
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        let environment: Environment = Arc::new(find);
        Network::read(&settings, &environment)
    }

    fn ways(network: &Network) -> Vec<String> {
        let way = |way: &Way| format!("{:?} {}", way.takes, way.address.expose_secret());
        network.proxies.iter().map(way).collect()
    }

    #[test]
    fn settings_stand_above_the_environment() {
        const VARIABLES: &[(&str, &str)] =
            &[("HTTPS_PROXY", "secure:1"), ("http_proxy", "http://plain"), ("ALL_PROXY", ""), ("NO_PROXY", "local")];
        for (settings, variables, expected, no_proxy) in [
            (json!({}), &[][..], vec![], None),
            (json!({}), VARIABLES, vec!["Https http://secure:1", "Http http://plain"], Some("local")),
            (json!({"httpProxy": "https://u:p@own:3128"}), VARIABLES, vec!["All https://u:p@own:3128"], Some("local")),
            (json!({"httpProxy": "own", "httpNoProxy": ""}), VARIABLES, vec!["All http://own"], Some("")),
            (
                json!({"httpProxy": "direct", "httpNoProxy": "a.b, *, ::1, 10.0.0.0/8"}),
                VARIABLES,
                vec![],
                Some("a.b, *, ::1, 10.0.0.0/8"),
            ),
            (json!({}), &[("all_proxy", "one"), ("ALL_PROXY", "two")], vec!["All http://one"], None),
        ] {
            let network = read(&settings, variables).expect("settings that can be used");
            assert_eq!(ways(&network), expected, "{settings}");
            assert_eq!(network.no_proxy.as_deref(), no_proxy, "{settings}");
            assert!(network.apply(reqwest::Client::builder()).is_ok());
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_and_its_value_is_not_shown() {
        for (settings, variables, key) in [
            (json!({"httpProxy": ""}), &[][..], "httpProxy"),
            (json!({"httpProxy": 5}), &[], "httpProxy"),
            (json!({"httpProxy": "http://u:hidden@"}), &[], "httpProxy"),
            (json!({"httpProxy": "socks5://u:hidden@host"}), &[], "httpProxy"),
            (json!({"httpProxy": "http://u:hidden@ho st"}), &[], "httpProxy"),
            (json!({}), &[("ALL_PROXY", "socks5h://u:hidden@host")], "ALL_PROXY"),
            (json!({"httpNoProxy": "host:80"}), &[], "httpNoProxy"),
            (json!({"httpNoProxy": "10.0.0.0/33"}), &[], "httpNoProxy"),
            (json!({"httpCaCertificates": "ca.pem"}), &[], "httpCaCertificates"),
            (json!({"httpCaCertificates": ""}), &[], "httpCaCertificates"),
        ] {
            match read(&settings, variables) {
                Err(TransportError::Setting { key: found, cause }) => {
                    assert_eq!(found, key, "{settings}");
                    assert!(!cause.contains("hidden"), "{cause}");
                }
                other => panic!("{settings}: {other:?}"),
            }
        }
    }

    #[test]
    fn certificates_are_read_when_a_client_is_built() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        for (content, good) in
            [(None, false), (Some(""), false), (Some("no pem"), false), (Some(&*key.cert.pem()), true)]
        {
            content.map(|content| std::fs::write(&file, content)).transpose().expect("written");
            let network = read(&json!({"httpCaCertificates": file}), &[]).expect("a path");
            let built = network.apply(reqwest::Client::builder());
            assert_eq!(built.is_ok(), good, "{content:?}");
            assert!(good || matches!(built, Err(TransportError::Setting { key, .. }) if key == CERTIFICATES));
        }
    }

    #[test]
    fn passwords_do_not_show() {
        let network = read(&json!({"httpProxy": "http://u:hidden@host"}), &[]).expect("a proxy");
        assert!(!format!("{network:?}").contains("hidden"));
    }
}
