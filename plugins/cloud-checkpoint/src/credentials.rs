//! The profile of `~/.aws`, which `object_store` does not read: keys, or the program that has them, and region of one section.
//! Knows nothing of requests.

use std::path::{Path, PathBuf};

/// What a profile says.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) key_id: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) region: Option<String>,
    /// The program that prints keys.
    pub(crate) process: Option<String>,
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
        Profile::read(&name, &credentials.unwrap_or_default(), &config.unwrap_or_default())
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
}
