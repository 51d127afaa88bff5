//! Where keys come from, decided without asking anybody.

use std::path::PathBuf;

use super::profiles::{Profiles, in_use};
use super::{AwsError, Credentials};
use crate::providers::Environment;

/// Address of the service that answers in ECS containers.
const CONTAINER_BASE: &str = "http://169.254.170.2";

/// Where keys come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// They are here.
    Keys(Credentials),
    /// A command prints them.
    Process(String),
    /// Someone is logged in.
    Sso(SsoLogin),
    /// A token in a file stands for a role.
    WebIdentity {
        /// The role.
        role: Role,
        /// The file.
        token_file: PathBuf,
    },
    /// Other keys may take a role.
    AssumeRole {
        /// The role.
        role: Role,
        /// Where the other keys come from.
        base: Box<Source>,
    },
    /// The container's own service.
    Container {
        /// Its address.
        address: String,
        /// What it wants to see.
        token: ContainerToken,
    },
    /// The machine's own service.
    Instance {
        /// Its address, if not the usual one.
        base: Option<String>,
    },
}

/// A role to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its resource name.
    pub arn: String,
    /// Name of the session in AWS's records.
    pub session_name: Option<String>,
    /// What the role's owner asks for.
    pub external_id: Option<String>,
    /// Seconds the keys are to last, as they are written.
    pub duration: Option<String>,
    /// Region of the profile.
    pub region: Option<String>,
}

/// A login by SSO, and what to ask for with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsoLogin {
    /// The profile, for messages.
    pub profile: String,
    /// What the file with the login is named by: the session, in old profiles the start address.
    pub cache_key: String,
    /// Whether the login can be renewed.
    pub renewable: bool,
    /// Region of the login.
    pub region: String,
    /// Account.
    pub account: String,
    /// Role in it.
    pub role: String,
}

/// What a container's service wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerToken {
    /// Nothing.
    Nothing,
    /// What is in this file now.
    File(PathBuf),
    /// The variable that holds it.
    Variable,
}

/// A variable that is set and not empty.
pub fn variable(environment: &Environment, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// What a named profile says.
///
/// # Errors
/// No such profile, or one that leads nowhere.
pub fn of_profile(profiles: &Profiles, environment: &Environment, name: &str) -> Result<Source, AwsError> {
    if profiles.profile(name).is_none() {
        return Err(AwsError::NoProfile { profile: name.to_owned() });
    }
    let found = Search { profiles, environment, visited: Vec::new() }.follow(name)?;
    found.ok_or_else(|| AwsError::EmptyProfile { profile: name.to_owned() })
}

/// What is found first: keys of the environment (unless `AWS_PROFILE` names a profile), the profile in use, a token of the
/// environment, the container, the machine.
///
/// # Errors
/// A profile or variable that cannot be used.
pub fn of_chain(profiles: &Profiles, environment: &Environment) -> Result<Source, AwsError> {
    let variable = |name: &str| variable(environment, name);
    if variable("AWS_PROFILE").is_none()
        && let Some(keys) = environment_keys(environment)
    {
        return Ok(Source::Keys(keys));
    }
    let mut search = Search { profiles, environment, visited: Vec::new() };
    if let Some(source) = search.follow(&in_use(environment))? {
        return Ok(source);
    }
    if let (Some(file), Some(arn)) = (variable("AWS_WEB_IDENTITY_TOKEN_FILE"), variable("AWS_ROLE_ARN")) {
        let session_name = variable("AWS_ROLE_SESSION_NAME");
        let role = Role { arn, session_name, external_id: None, duration: None, region: None };
        return Ok(Source::WebIdentity { role, token_file: file.into() });
    }
    if let Some(source) = container(environment) {
        return Ok(source);
    }
    match variable("AWS_EC2_METADATA_DISABLED") {
        Some(disabled) if disabled.eq_ignore_ascii_case("true") => Err(AwsError::NoCredentials),
        _ => Ok(instance(environment)),
    }
}

fn environment_keys(environment: &Environment) -> Option<Credentials> {
    let variable = |name: &str| variable(environment, name);
    let (access, secret) = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"))?;
    Credentials::fixed(&access, &secret, variable("AWS_SESSION_TOKEN").as_deref())
}

fn container(environment: &Environment) -> Option<Source> {
    let variable = |name: &str| variable(environment, name);
    let relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER_BASE}{path}"));
    let address = relative.or_else(|| variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"))?;
    let token = match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => ContainerToken::File(file.into()),
        None if variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").is_some() => ContainerToken::Variable,
        None => ContainerToken::Nothing,
    };
    Some(Source::Container { address, token })
}

fn instance(environment: &Environment) -> Source {
    let variable = |name: &str| variable(environment, name);
    let over_ipv6 = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|m| m.eq_ignore_ascii_case("ipv6"));
    let ipv6 = over_ipv6.then(|| "http://[fd00:ec2::254]".to_owned());
    Source::Instance { base: variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").or(ipv6) }
}

/// Follows profiles through those they name as their source.
struct Search<'a> {
    profiles: &'a Profiles,
    environment: &'a Environment,
    visited: Vec<String>,
}

impl Search<'_> {
    /// Where the keys of a profile come from; `None` if it names nothing that leads to keys.
    fn follow(&mut self, name: &str) -> Result<Option<Source>, AwsError> {
        // A role's source may be the profile itself: then its own keys are meant.
        let itself = self.visited.last().is_some_and(|last| last == name);
        if itself && let Some(keys) = self.keys(name) {
            return Ok(Some(keys));
        }
        if self.visited.iter().any(|known| known == name) {
            return Err(AwsError::Loop { profile: name.to_owned() });
        }
        self.visited.push(name.to_owned());
        if let Some(arn) = self.setting(name, "role_arn") {
            return self.role(name, arn).map(Some);
        }
        if let Some(keys) = self.keys(name) {
            return Ok(Some(keys));
        }
        match self.setting(name, "credential_process") {
            Some(command) => Ok(Some(Source::Process(command))),
            None => self.sso(name),
        }
    }

    fn role(&mut self, name: &str, arn: String) -> Result<Source, AwsError> {
        let role = Role {
            arn,
            session_name: self.setting(name, "role_session_name"),
            external_id: self.setting(name, "external_id"),
            duration: self.setting(name, "duration_seconds"),
            region: self.setting(name, "region"),
        };
        let invalid = |key| AwsError::Setting { place: name.to_owned(), key };
        if let Some(file) = self.setting(name, "web_identity_token_file") {
            return Ok(Source::WebIdentity { role, token_file: file.into() });
        }
        let base = match (self.setting(name, "source_profile"), self.setting(name, "credential_source")) {
            (Some(source), _) if self.profiles.profile(&source).is_none() => {
                return Err(AwsError::NoProfile { profile: source });
            }
            (Some(source), _) => self.follow(&source)?.ok_or(AwsError::EmptyProfile { profile: source })?,
            (None, Some(source)) => self.named(&source).ok_or_else(|| invalid("credential_source"))?,
            (None, None) => return self.keys(name).ok_or_else(|| invalid("source_profile")),
        };
        match self.setting(name, "mfa_serial") {
            Some(_) => Err(AwsError::Mfa { profile: name.to_owned() }),
            None => Ok(Source::AssumeRole { role, base: Box::new(base) }),
        }
    }

    /// A `credential_source` by its name.
    fn named(&self, source: &str) -> Option<Source> {
        match source {
            "Environment" => environment_keys(self.environment).map(Source::Keys),
            "EcsContainer" => container(self.environment),
            "Ec2InstanceMetadata" => Some(instance(self.environment)),
            _ => None,
        }
    }

    fn sso(&self, name: &str) -> Result<Option<Source>, AwsError> {
        let session = self.setting(name, "sso_session");
        if session.is_none() && self.setting(name, "sso_start_url").is_none() {
            return Ok(None);
        }
        let required = |key| self.setting(name, key).ok_or_else(|| AwsError::Setting { place: name.to_owned(), key });
        let region = match &session {
            Some(session) => self.session_setting(session, "sso_region")?,
            None => required("sso_region")?,
        };
        Ok(Some(Source::Sso(SsoLogin {
            profile: name.to_owned(),
            renewable: session.is_some(),
            cache_key: session.map_or_else(|| required("sso_start_url"), Ok)?,
            region,
            account: required("sso_account_id")?,
            role: required("sso_role_name")?,
        })))
    }

    fn session_setting(&self, session: &str, key: &'static str) -> Result<String, AwsError> {
        let value = self.profiles.session(session).and_then(|settings| settings.get(key));
        value.cloned().ok_or_else(|| AwsError::Setting { place: format!("sso-session {session}"), key })
    }

    fn keys(&self, name: &str) -> Option<Source> {
        let setting = |key: &str| self.setting(name, key);
        let (access, secret) = setting("aws_access_key_id").zip(setting("aws_secret_access_key"))?;
        Credentials::fixed(&access, &secret, setting("aws_session_token").as_deref()).map(Source::Keys)
    }

    fn setting(&self, name: &str, key: &str) -> Option<String> {
        self.profiles.setting(name, key).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn environment(variables: &'static [(&'static str, &'static str)]) -> Environment {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        Arc::new(value)
    }

    /// What a source is, in short.
    fn shown(source: &Source) -> String {
        match source {
            Source::Keys(keys) => format!("keys {}", keys.access_key),
            Source::Process(command) => format!("process {command}"),
            Source::Sso(login) => format!("sso {} {} {}", login.cache_key, login.region, login.role),
            Source::WebIdentity { role, token_file } => format!("web {} {}", role.arn, token_file.display()),
            Source::AssumeRole { role, base } => format!("role {} by {}", role.arn, shown(base)),
            Source::Container { address, token } => format!("container {address} {token:?}"),
            Source::Instance { base } => format!("instance {base:?}"),
        }
    }

    const CONFIG: &str = "[default]\nregion = x\n\
        [profile keys]\naws_access_key_id = K\naws_secret_access_key = s\n\
        [profile half]\naws_access_key_id = K\n\
        [profile role]\nrole_arn = R\nsource_profile = keys\n\
        [profile self]\nrole_arn = S\nsource_profile = self\naws_access_key_id = K2\naws_secret_access_key = s\n\
        [profile chain]\nrole_arn = C\nsource_profile = role\n\
        [profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\nrole_arn = B\nsource_profile = a\n\
        [profile nowhere]\nrole_arn = N\nsource_profile = missing\n\
        [profile alone]\nrole_arn = N\n\
        [profile mfa]\nrole_arn = M\nsource_profile = keys\nmfa_serial = 1\n\
        [profile machine]\nrole_arn = E\ncredential_source = Ec2InstanceMetadata\n\
        [profile odd]\nrole_arn = E\ncredential_source = Elsewhere\n\
        [profile web]\nrole_arn = W\nweb_identity_token_file = /t\n\
        [profile process]\ncredential_process = /bin/keys --x\n\
        [profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n\
        [profile old-sso]\nsso_start_url = u\nsso_region = o\nsso_account_id = 1\nsso_role_name = r\n\
        [profile part-sso]\nsso_session = s\nsso_account_id = 1\n\
        [profile lost-sso]\nsso_session = lost\nsso_account_id = 1\nsso_role_name = r\n\
        [sso-session s]\nsso_region = n\nsso_start_url = v\n";

    #[test]
    fn profiles_lead_to_keys() {
        let profiles = Profiles::of(CONFIG, "");
        let error = |name: &str, key| AwsError::Setting { place: name.to_owned(), key };
        for (name, expected) in [
            ("keys", Ok("keys K".to_owned())),
            ("half", Err(AwsError::EmptyProfile { profile: "half".into() })),
            ("unknown", Err(AwsError::NoProfile { profile: "unknown".into() })),
            ("role", Ok("role R by keys K".into())),
            ("self", Ok("role S by keys K2".into())),
            ("chain", Ok("role C by role R by keys K".into())),
            ("a", Err(AwsError::Loop { profile: "a".into() })),
            ("nowhere", Err(AwsError::NoProfile { profile: "missing".into() })),
            ("alone", Err(error("alone", "source_profile"))),
            ("mfa", Err(AwsError::Mfa { profile: "mfa".into() })),
            ("machine", Ok("role E by instance None".into())),
            ("odd", Err(error("odd", "credential_source"))),
            ("web", Ok("web W /t".into())),
            ("process", Ok("process /bin/keys --x".into())),
            ("sso", Ok("sso s n r".into())),
            ("old-sso", Ok("sso u o r".into())),
            ("part-sso", Err(error("part-sso", "sso_role_name"))),
            ("lost-sso", Err(error("sso-session lost", "sso_region"))),
        ] {
            let found = of_profile(&profiles, &environment(&[]), name).map(|source| shown(&source));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn the_chain_takes_what_comes_first() {
        let profiles = Profiles::of(CONFIG, "");
        for (variables, expected) in [
            (&[("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "s")][..], Ok("keys E".to_owned())),
            (
                &[("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_PROFILE", "keys")],
                Ok("keys K".into()),
            ),
            (&[("AWS_ACCESS_KEY_ID", "E")], Ok("instance None".into())),
            (&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "W")], Ok("web W /t".into())),
            (
                &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")],
                Ok("container http://169.254.170.2/x Nothing".into()),
            ),
            (
                &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://h"), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t")],
                Ok("container http://h Variable".into()),
            ),
            (
                &[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")],
                Ok("instance Some(\"http://[fd00:ec2::254]\")".into()),
            ),
            (&[("AWS_EC2_METADATA_DISABLED", "TRUE")], Err(AwsError::NoCredentials)),
            (&[("AWS_PROFILE", "a")], Err(AwsError::Loop { profile: "a".into() })),
        ] {
            let found = of_chain(&profiles, &environment(variables)).map(|source| shown(&source));
            assert_eq!(found, expected, "{variables:?}");
        }
    }
}
