//! What a config asks for, and what a URL means. Knows nothing of networks.

use object_store::path::Path as StorePath;
use serde_json::Value as Json;
use std::fmt;
use std::path::PathBuf;

/// The arguments of the hook.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The type in the config, for messages.
    pub(crate) hook: &'static str,
    /// Schemes of URLs that it takes.
    pub(crate) schemes: &'static [&'static str],
    pub(crate) url: String,
    pub(crate) interval: u64,
    pub(crate) by_epoch: bool,
    pub(crate) best: bool,
    pub(crate) keep: Option<usize>,
    pub(crate) logs: bool,
    pub(crate) config: bool,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    /// A file of keys that goes before the usual places.
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) part_bytes: u64,
    pub(crate) parallel: usize,
    pub(crate) retry_s: f64,
    pub(crate) timeout_s: f64,
    pub(crate) checksums: bool,
}

/// `scheme://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) scheme: String,
    pub(crate) bucket: String,
    pub(crate) prefix: StorePath,
}

/// Where checkpoints go: a URL means another bucket at another endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) url: String,
    pub(crate) endpoint: Option<String>,
}

impl Destination {
    /// Of two arguments as a config has them: however a URL is written, it is the same one.
    pub(crate) fn new(url: &str, endpoint: Option<&str>) -> Destination {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let url = format!("{}://{}", scheme.to_ascii_lowercase(), rest.trim_matches('/'));
        let endpoint = endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        Destination { url, endpoint }
    }

    /// Of an object with `url` and `endpoint`.
    pub(crate) fn read(json: &Json) -> Option<Destination> {
        Some(Destination::new(json["url"].as_str()?, json["endpoint"].as_str()))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        self.endpoint.iter().try_for_each(|endpoint| write!(f, " at {endpoint}"))
    }
}

impl Settings {
    pub(crate) fn destination(&self) -> Destination {
        Destination::new(&self.url, self.endpoint.as_deref())
    }

    /// Errors: an endpoint with a password in it, which would be logged. `name` is where it comes from.
    pub(crate) fn check_endpoint(name: &str, endpoint: &str) -> Result<(), String> {
        let authority = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        if authority.contains('@') || endpoint.contains(['?', '#']) {
            return Err(format!(
                "{name}: expected an address such as https://minio.example, found one with a question mark, a hash or an \
                 @, which is not shown here (keys are for the environment, the profile, or the file that `credentials` \
                 names)"
            ));
        }
        Ok(())
    }

    /// Whether a URL is one of ours.
    pub(crate) fn knows(&self, url: &str) -> bool {
        let scheme = url.split("://").next().unwrap_or_default().to_ascii_lowercase();
        self.schemes.contains(&scheme.as_str())
    }

    /// The parts of a URL.
    ///
    /// Errors: a scheme that is not ours, no bucket, or a password in it, which would be logged.
    pub(crate) fn place(&self, url: &str) -> Result<Place, String> {
        let expected = format!("{}://bucket/prefix", self.schemes.join("://, "));
        let wrong = |found: &str| format!("{}.url: expected {expected}, found {found}", self.hook);
        let Some((scheme, rest)) = url.split_once("://").filter(|_| self.knows(url)) else {
            return Err(wrong(url));
        };
        if rest.contains(['?', '#']) || rest.split('/').next().unwrap_or_default().contains('@') {
            return Err(wrong("one with a question mark, a hash or an @, which is not shown here"));
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong(url));
        }
        let prefix = StorePath::parse(prefix.trim_matches('/'))
            .map_err(|error| format!("{}.url: {error}", self.hook))?;
        Ok(Place { scheme: scheme.to_ascii_lowercase(), bucket: bucket.to_owned(), prefix })
    }
}

impl Place {
    /// The URL of something below.
    pub(crate) fn url(&self, path: &StorePath) -> String {
        format!("{}://{}/{path}", self.scheme, self.bucket)
    }

    /// Something below, by its path with slashes.
    pub(crate) fn below(&self, path: &str) -> StorePath {
        path.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

#[cfg(test)]
pub(crate) fn for_tests(url: &str) -> Settings {
    Settings {
        hook: "CloudCheckpointHook",
        schemes: &["s3", "gs"],
        url: url.to_owned(),
        interval: 1,
        by_epoch: true,
        best: true,
        keep: None,
        logs: false,
        config: false,
        endpoint: None,
        region: None,
        credentials: None,
        part_bytes: 5 << 20,
        parallel: 2,
        retry_s: 1.0,
        timeout_s: 5.0,
        checksums: true,
    }
}

#[cfg(test)]
mod tests {
    use super::{Destination, Settings, for_tests};

    #[test]
    fn a_url_has_a_bucket_and_a_prefix() {
        let place = for_tests("").place("S3://bucket/a/b/").unwrap();
        assert_eq!((place.scheme.as_str(), place.bucket.as_str()), ("s3", "bucket"));
        assert_eq!(
            place.url(&place.below("epoch_1/manifest.json")),
            "s3://bucket/a/b/epoch_1/manifest.json"
        );
        let bare = for_tests("").place("gs://bucket").unwrap();
        assert_eq!(bare.url(&bare.below("x")), "gs://bucket/x");
    }

    #[test]
    fn other_urls_are_refused_without_showing_a_password() {
        for url in ["work_dirs/a", "az://a/b", "s3://", "s3:///a"] {
            assert!(for_tests("").place(url).is_err(), "{url}");
        }
        let error = for_tests("").place("s3://key:secret@bucket/a").unwrap_err();
        assert!(
            !error.contains("secret") && error.contains("s3://, gs://bucket/prefix"),
            "{error}"
        );
    }

    #[test]
    fn endpoints_with_a_password_are_refused_without_showing_it() {
        for endpoint in
            ["http://user:secret@host", "user:secret@host/a", "http://host/a?key=secret"]
        {
            let error = Settings::check_endpoint("Hook.endpoint", endpoint).unwrap_err();
            assert!(error.starts_with("Hook.endpoint: ") && !error.contains("secret"), "{error}");
        }
        assert_eq!(Settings::check_endpoint("Hook.endpoint", "http://127.0.0.1:9000/a@b"), Ok(()));
    }

    #[test]
    fn a_destination_is_the_same_however_it_is_written_and_another_one_at_another_endpoint() {
        let one = Destination::new("S3://bucket/a/", Some("http://host:9/"));
        assert_eq!(one, Destination::new("s3://bucket/a", Some("http://host:9")));
        assert_eq!(one.to_string(), "s3://bucket/a at http://host:9");
        assert_ne!(one, Destination::new("s3://bucket/a", None));
    }
}
