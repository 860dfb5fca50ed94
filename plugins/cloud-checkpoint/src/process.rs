//! Keys from a program of the user's, `credential_process` of `~/.aws/config`, run anew when they expire. Knows nothing of
//! what they open.
//!
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>.

use crate::retry::Secrets;
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error};
use serde_json::Value as Json;
use std::fmt;
use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the program may take: it may ask a server.
const LONGEST: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// So long before they expire keys are fetched anew.
const EARLY: Duration = Duration::from_secs(300);

/// The program, and what it said last.
pub(crate) struct ProcessCredentials {
    command: String,
    secrets: Secrets,
    kept: Mutex<Option<Kept>>,
}

#[derive(Clone)]
struct Kept {
    credential: Arc<AwsCredential>,
    expiration: Option<DateTime<Utc>>,
}

impl ProcessCredentials {
    /// Runs nothing yet. What the program says is added to `secrets`.
    pub(crate) fn new(command: String, secrets: Secrets) -> ProcessCredentials {
        ProcessCredentials { command, secrets, kept: Mutex::new(None) }
    }

    fn credential(&self) -> Result<Arc<AwsCredential>, String> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_valid(Utc::now())) {
            return Ok(Arc::clone(&kept.credential));
        }
        let fresh = read(&output_of(&self.command)?)?;
        let credential = Arc::clone(&fresh.credential);
        self.secrets.add([&credential.key_id, &credential.secret_key]);
        self.secrets.add(credential.token.iter());
        *kept = Some(fresh);
        Ok(credential)
    }
}

impl Kept {
    fn is_valid(&self, now: DateTime<Utc>) -> bool {
        self.expiration.is_none_or(|end| end - EARLY > now)
    }
}

impl fmt::Debug for ProcessCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessCredentials").finish_non_exhaustive()
    }
}

impl CredentialProvider for ProcessCredentials {
    type Credential = AwsCredential;

    fn get_credential<'own, 'answer>(
        &'own self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'answer>>
    where
        'own: 'answer,
        Self: 'answer,
    {
        let failed = |message: String| Error::Unauthenticated {
            path: "credential_process".to_owned(),
            source: message.into(),
        };
        Box::pin(async move { self.credential().map_err(failed) })
    }
}

/// What the command prints. What it writes to its standard error goes to that of this process.
///
/// Errors: it cannot be started, fails or takes too long; nothing of what it printed is told.
fn output_of(command: &str) -> Result<String, String> {
    let wrong = |found: String| format!("credential_process: expected keys, found {found}");
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = shell.spawn().map_err(|error| wrong(error.to_string()))?;
    let pipe = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        pipe.map(|mut pipe| pipe.read_to_string(&mut text)).transpose().map(|_| text)
    });
    let end = Instant::now() + LONGEST;
    let status = loop {
        match child.try_wait().map_err(|error| wrong(error.to_string()))? {
            Some(status) => break status,
            None if Instant::now() > end => {
                // It may have ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return Err(wrong(format!("nothing in {} s", LONGEST.as_secs())));
            }
            None => std::thread::sleep(LOOK_EVERY),
        }
    };
    if !status.success() {
        return Err(wrong(status.to_string()));
    }
    let text = reader.join().map_err(|_| wrong("a panic".to_owned()))?;
    text.map_err(|error| wrong(error.to_string()))
}

/// The keys of the program's JSON.
fn read(text: &str) -> Result<Kept, String> {
    let wrong = |what: &str| format!("credential_process: expected {what} in what it prints");
    let json: Json = serde_json::from_str(text).map_err(|_| wrong("JSON"))?;
    if json["Version"] != 1 {
        return Err(wrong("Version 1"));
    }
    let string = |key: &str| json[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let (key_id, secret_key) = string("AccessKeyId")
        .zip(string("SecretAccessKey"))
        .ok_or_else(|| wrong("AccessKeyId and SecretAccessKey"))?;
    let expiration = string("Expiration").map(|time| DateTime::parse_from_rfc3339(&time));
    let expiration = expiration.transpose().map_err(|_| wrong("a time as Expiration"))?;
    let credential = AwsCredential { key_id, secret_key, token: string("SessionToken") };
    Ok(Kept {
        credential: Arc::new(credential),
        expiration: expiration.map(|time| time.with_timezone(&Utc)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that prints its number of calls as key, and keys that are valid for `minutes`.
    fn provider(folder: &tempfile::TempDir, minutes: i64) -> (ProcessCredentials, Secrets) {
        let (count, secrets) = (folder.path().join("count"), Secrets::default());
        let end = (Utc::now() + chrono::Duration::minutes(minutes)).to_rfc3339();
        let command = format!(
            "echo >> {0}; echo '{{\"Version\": 1, \"AccessKeyId\": \"K'$(wc -l < {0})'\", \"SecretAccessKey\": \"S=\", \
             \"SessionToken\": \"T\", \"Expiration\": \"{end}\"}}'",
            count.display()
        );
        (ProcessCredentials::new(command, secrets.clone()), secrets)
    }

    #[test]
    fn keys_are_kept_until_shortly_before_they_expire() {
        let folder = tempfile::tempdir().unwrap();
        let (valid, secrets) = provider(&folder, 60);
        let key = |provider: &ProcessCredentials| provider.credential().unwrap().key_id.clone();
        assert_eq!([key(&valid), key(&valid)], ["K1", "K1"]);
        let (brief, _) = provider(&folder, 4);
        assert_eq!([key(&brief), key(&brief)], ["K2", "K3"]);
        assert_eq!(secrets.hidden("K1 S= T"), "*** *** ***");
        assert_eq!(valid.credential().unwrap().token.as_deref(), Some("T"));
    }

    #[test]
    fn programs_that_fail_are_told_without_what_they_printed() {
        let error = |command: &str| {
            let provider = ProcessCredentials::new(command.to_owned(), Secrets::default());
            provider.credential().unwrap_err()
        };
        assert!(error("echo secret; exit 3").ends_with("exit status: 3"));
        for text in [
            "secret",
            "{\"AccessKeyId\": \"secret\"}",
            "{\"Version\": 1, \"AccessKeyId\": \"secret\"}",
        ] {
            let error = error(&format!("echo '{text}'"));
            assert!(
                error.starts_with("credential_process: expected ") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
