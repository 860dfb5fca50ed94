//! The store behind a URL, with its credentials and time limits. Knows nothing of checkpoints.

use crate::credentials::Profile;
use crate::process::ProcessCredentials;
use crate::retry::{Retry, Secrets};
use crate::settings::{Place, Settings};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// A bucket that can be talked to.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) parts: Arc<dyn MultipartStore>,
    pub(crate) place: Place,
    pub(crate) retry: Retry,
    pub(crate) part_bytes: u64,
    pub(crate) parallel: usize,
}

impl Store {
    /// Nothing is sent yet.
    ///
    /// Errors: a URL that is not one of ours, missing or wrong settings of the store.
    pub(crate) fn open(settings: &Settings, url: &str) -> Result<Store, String> {
        // An error means that somebody in this file has chosen one before, which is this same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = settings.place(url)?;
        if let Some(endpoint) = &settings.endpoint {
            Settings::check_endpoint(&format!("{}.endpoint", settings.hook), endpoint)?;
        }
        let secrets = Secrets::default();
        let (objects, parts) = match place.scheme.as_str() {
            "s3" | "s3a" => both(s3(settings, &place, &secrets)?),
            "gs" => both(google(settings, &place)?),
            _ => both(azure(settings, url)?),
        };
        let retry = Retry::new(Duration::from_secs_f64(settings.retry_s), secrets);
        let (part_bytes, parallel) = (settings.part_bytes, settings.parallel);
        Ok(Store { objects, parts, place, retry, part_bytes, parallel })
    }
}

type Both = (Arc<dyn ObjectStore>, Arc<dyn MultipartStore>);

fn both<S: ObjectStore + MultipartStore>(store: S) -> Both {
    let store = Arc::new(store);
    (store.clone(), store)
}

fn s3(
    settings: &Settings,
    place: &Place,
    secrets: &Secrets,
) -> Result<object_store::aws::AmazonS3, String> {
    let (builder, profile) = match &settings.credentials {
        // The token of another key must not go with this one.
        Some(file) => {
            let mut profile = Profile::of_file(file)?;
            profile.region = profile.region.take().or_else(|| Profile::of_user().region);
            (elsewhere(AmazonS3Builder::new()), profile)
        }
        None => (AmazonS3Builder::from_env(), Profile::of_user()),
    };
    let mut builder = builder.with_bucket_name(&place.bucket);
    let has = |builder: &AmazonS3Builder, key| builder.get_config_value(&key).is_some();
    let is_anonymous = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature);
    let needs_profile = !has(&builder, AmazonS3ConfigKey::AccessKeyId)
        && !has(&builder, AmazonS3ConfigKey::WebIdentityTokenFile)
        && is_anonymous.as_deref() != Some("true");
    if let Some(refusal) = profile.refusal().filter(|_| needs_profile) {
        return Err(format!("{}: {refusal}", settings.hook));
    }
    if !has(&builder, AmazonS3ConfigKey::AccessKeyId)
        && let (Some(key_id), Some(secret)) = (profile.key_id, profile.secret)
    {
        builder = builder.with_access_key_id(key_id).with_secret_access_key(secret);
        builder = profile.token.into_iter().fold(builder, AmazonS3Builder::with_token);
    }
    let usual_region = profile.region.filter(|_| !has(&builder, AmazonS3ConfigKey::Region));
    if let Some(region) = settings.region.clone().or(usual_region) {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if settings.checksums {
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    for key in [
        AmazonS3ConfigKey::AccessKeyId,
        AmazonS3ConfigKey::SecretAccessKey,
        AmazonS3ConfigKey::Token,
    ] {
        secrets.add(builder.get_config_value(&key));
    }
    // A program's keys come after those that are written down, and after a web identity, as in the usual chain.
    let has_keys = has(&builder, AmazonS3ConfigKey::AccessKeyId)
        || has(&builder, AmazonS3ConfigKey::WebIdentityTokenFile);
    if let Some(command) = profile.process.filter(|_| !has_keys) {
        let provider = ProcessCredentials::new(command, secrets.clone());
        builder = builder.with_credentials(Arc::new(provider));
    }
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    if let Some(endpoint) = &endpoint {
        Settings::check_endpoint("AWS_ENDPOINT_URL", endpoint)?;
    }
    let options = options(settings, endpoint.as_deref());
    let store = builder.with_retry(no_retry()).with_client_options(options).build();
    store.map_err(|error| error.to_string())
}

/// Where the store is, as the environment says it; no key.
fn elsewhere(builder: AmazonS3Builder) -> AmazonS3Builder {
    let environment = AmazonS3Builder::from_env();
    let places = [AmazonS3ConfigKey::Region, AmazonS3ConfigKey::Endpoint];
    places.into_iter().fold(builder, |builder, key| match environment.get_config_value(&key) {
        Some(value) => builder.with_config(key, value),
        None => builder,
    })
}

fn google(
    settings: &Settings,
    place: &Place,
) -> Result<object_store::gcp::GoogleCloudStorage, String> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&place.bucket);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let options = options(settings, settings.endpoint.as_deref());
    let store = builder.with_retry(no_retry()).with_client_options(options).build();
    store.map_err(|error| error.to_string())
}

fn azure(settings: &Settings, url: &str) -> Result<object_store::azure::MicrosoftAzure, String> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_url(url);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let options = options(settings, settings.endpoint.as_deref());
    let store = builder.with_retry(no_retry()).with_client_options(options).build();
    store.map_err(|error| error.to_string())
}

/// Plain HTTP only where the endpoint says so.
fn options(settings: &Settings, endpoint: Option<&str>) -> ClientOptions {
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    ClientOptions::new()
        .with_allow_http(is_plain)
        .with_timeout(Duration::from_secs_f64(settings.timeout_s))
        .with_connect_timeout(Duration::from_secs_f64(settings.timeout_s.min(10.0)))
}

/// [`Retry`] does it, for longer and with words.
fn no_retry() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}
