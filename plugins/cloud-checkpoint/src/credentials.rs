//! The profile of `~/.aws`, which `object_store` does not read: keys, or the program that has them, and region of one section.
//! Knows nothing of requests.

use std::path::{Path, PathBuf};

/// Keys of a profile that name other places of keys, which only AWS's own program follows.
const NOT_FOLLOWED: [&str; 7] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
];

/// What a profile says.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) key_id: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) region: Option<String>,
    /// The program that prints keys.
    pub(crate) process: Option<String>,
    /// Where keys are to come from in a way that is not followed, such as `role_arn`.
    not_followed: Vec<String>,
    is_found: bool,
    /// The name that somebody chose, if no file has it.
    missing: Option<String>,
}

impl Profile {
    /// The profile that `AWS_PROFILE` names, or `default`, out of the files that `AWS_SHARED_CREDENTIALS_FILE` and
    /// `AWS_CONFIG_FILE` name, or those in `~/.aws`; empty where there is none.
    pub(crate) fn of_user() -> Profile {
        let name = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned());
        let file = |variable: &str, usual: &str| {
            let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(usual));
            let path = std::env::var_os(variable).map(PathBuf::from).or_else(home)?;
            std::fs::read_to_string(path).ok()
        };
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        let config = file("AWS_CONFIG_FILE", ".aws/config");
        let texts = (credentials.unwrap_or_default(), config.unwrap_or_default());
        let profile = Profile::read(&name, &texts.0, &texts.1);
        let is_chosen = std::env::var_os("AWS_PROFILE").is_some_and(|name| !name.is_empty());
        let missing = Some(name).filter(|_| is_chosen && !profile.is_found);
        Profile { missing, ..profile }
    }

    /// Why no keys can come of it, where somebody means them to, and the way out.
    pub(crate) fn refusal(&self) -> Option<String> {
        let way_out = "`credential_process = aws configure export-credentials --profile NAME` in the profile, or `eval \
                       \"$(aws configure export-credentials --profile NAME --format env)\"` before the run, has AWS's own \
                       program do it";
        if let Some(name) = &self.missing {
            return Some(format!(
                "AWS_PROFILE: expected a profile of ~/.aws/config or ~/.aws/credentials (or of what AWS_CONFIG_FILE and \
                 AWS_SHARED_CREDENTIALS_FILE name), found no {name:?} there"
            ));
        }
        let has_keys = self.key_id.is_some() && self.secret.is_some() || self.process.is_some();
        let found = self.not_followed.join(", ");
        (!has_keys && !found.is_empty()).then(|| {
            format!(
                "the AWS profile: expected keys or credential_process, found {found}, which is not followed here ({way_out})"
            )
        })
    }

    /// The profile of one file of keys.
    ///
    /// Errors: a file that cannot be read, or has no keys for the profile.
    pub(crate) fn of_file(path: &Path) -> Result<Profile, String> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| format!("credentials {}: {error}", path.display()))?;
        let name = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned());
        let profile = Profile::read(&name, &text, "");
        if profile.key_id.is_some() && profile.secret.is_some() || profile.process.is_some() {
            return Ok(profile);
        }
        let path = path.display();
        Err(format!(
            "credentials {path}: expected aws_access_key_id and aws_secret_access_key below [{name}], found none"
        ))
    }

    /// What the credentials file says goes before what the config file says.
    fn read(name: &str, credentials: &str, config: &str) -> Profile {
        let mut profile = Profile::default();
        profile.take_section(config, &format!("profile {name}"));
        if name == "default" {
            profile.take_section(config, name);
        }
        profile.take_section(credentials, name);
        profile
    }

    fn take_section(&mut self, text: &str, section: &str) {
        let mut is_inside = false;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if let Some(header) = line.strip_prefix('[') {
                let header = header.trim_end_matches(']');
                is_inside = header.split_whitespace().eq(section.split_whitespace());
                self.is_found |= is_inside;
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| is_inside) else { continue };
            let value = Some(value.trim().to_owned());
            match key.trim() {
                "aws_access_key_id" => self.key_id = value,
                "aws_secret_access_key" => self.secret = value,
                "aws_session_token" => self.token = value,
                "region" => self.region = value,
                "credential_process" => self.process = value,
                key if NOT_FOLLOWED.contains(&key)
                    && !self.not_followed.iter().any(|k| k == key) =>
                {
                    self.not_followed.push(key.to_owned());
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=B=\n\n[work]\n\
                               aws_access_key_id=C\naws_secret_access_key=D\naws_session_token=E\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile  work]\nregion=us-east-2\noutput=json\n\
                          [profile program]\ncredential_process = keys --of a=b\n";

    #[test]
    fn a_profile_has_keys_of_one_file_and_the_region_of_the_other() {
        let profile = Profile::read("default", CREDENTIALS, CONFIG);
        assert!(profile.key_id.as_deref() == Some("A") && profile.secret.as_deref() == Some("B="));
        assert!(profile.region.as_deref() == Some("eu-west-1") && profile.token.is_none());
        let work = Profile::read("work", CREDENTIALS, CONFIG);
        assert!(work.key_id.as_deref() == Some("C") && work.token.as_deref() == Some("E"));
        assert!(work.region.as_deref() == Some("us-east-2"));
        let program = Profile::read("program", CREDENTIALS, CONFIG);
        assert!(program.process.as_deref() == Some("keys --of a=b") && program.key_id.is_none());
        assert!(Profile::read("none", CREDENTIALS, CONFIG) == Profile::default());
    }

    #[test]
    fn profiles_whose_keys_come_from_elsewhere_are_refused_with_the_way_out() {
        let config = "[profile role]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = default\nregion = a\n\
                      [profile sso]\nsso_session = mine\n[profile both]\nrole_arn = b\ncredential_process = keys\n\
                      [profile place]\nregion = eu-west-1\n";
        let refusal = |name: &str| Profile::read(name, CREDENTIALS, config).refusal();
        let role = refusal("role").unwrap();
        assert!(role.contains("found role_arn, source_profile, which is not followed"), "{role}");
        assert!(role.contains("aws configure export-credentials"), "{role}");
        assert!(refusal("sso").unwrap().contains("found sso_session,"));
        // What says nothing of keys leaves them to the role of the machine.
        for name in ["default", "both", "place", "none"] {
            assert_eq!(refusal(name), None, "{name}");
        }
    }
}
