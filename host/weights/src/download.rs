//! Fetches an address by the system's `curl`: TLS, certificates and proxies are the system's.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::WeightsError;

/// Writes what is at `url` to `part`; `place` is where the user may put the file instead.
pub(crate) fn download(url: &str, part: &Path, place: &Path) -> Result<(), WeightsError> {
    let (own_url, own_place) = (url.to_owned(), place.to_owned());
    let output = Command::new("curl")
        .args(["--fail", "--location", "--silent", "--show-error", "--retry", "3"])
        .arg("--globoff")
        .args(["--connect-timeout", "30", "--speed-limit", "1", "--speed-time", "60"])
        // Nothing but the web: an address may come with a config from anywhere, and redirects from any server.
        .args(["--proto", "=http,https", "--proto-redir", "=http,https", "--output"])
        .arg(part)
        .arg("--")
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| WeightsError::NoCurl { url: own_url, place: own_place, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let message = match said.trim() {
        "" => format!("curl ended with {}", output.status),
        said => said.lines().last().unwrap_or(said).to_owned(),
    };
    Err(WeightsError::Fetch { url: url.to_owned(), place: place.to_owned(), message })
}
