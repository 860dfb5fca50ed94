//! What a plugin says of itself: its manifest, read with suspicion. Knows nothing of files.

use crate::strict_json;
use serde_json::Value as Json;
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::abi::API_VERSION;
use snaphook_plugin_api::host::{EXTENSIONS, is_obeyed};
use std::fmt;

const MAX_TYPES: usize = 64;
const MAX_NAME: usize = 64;

/// A version of plugin-api, without its patch number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Changes when plugins must be rebuilt.
    pub major: u32,
    /// Grows when something is added.
    pub minor: u32,
}

impl ApiVersion {
    /// What this host offers.
    pub const HOST: ApiVersion = ApiVersion { major: API_VERSION.0, minor: API_VERSION.1 };

    /// Reads `1.6` or `1.6.2`.
    pub fn parse(text: &str) -> Option<ApiVersion> {
        let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
        Some(ApiVersion { major: parts.next()??, minor: parts.next()?? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// The package that a plugin was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PluginInfo {
    pub name: String,
    pub version: String,
    pub description: String,
    pub license: String,
    pub repository: String,
    pub authors: String,
}

/// How a plugin was built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct BuildInfo {
    pub target: String,
    pub rustc: String,
    pub profile: String,
    pub opt_level: String,
    pub panic: String,
    pub has_debug_assertions: bool,
}

/// What a plugin cannot live without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The libtorch that it links.
    pub libtorch: Option<String>,
    /// Ids of extensions that the host must have.
    pub host_extensions: Vec<String>,
}

/// A type that a plugin exports.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeInfo {
    /// `hook`; further kinds may follow.
    pub kind: String,
    /// The name that a config gives as `type`.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// `stable` or what the author says.
    pub stability: String,
    /// The points at which it is called; points that this host does not know are left out.
    pub points: Vec<HookPoint>,
    /// The priority that the author chose.
    pub priority: Option<i64>,
    /// The most that a call costs by the author's word, in microseconds.
    pub cost_us: Option<u64>,
    /// JSON schema of the keyword arguments.
    pub kwargs_schema: Json,
}

/// The manifest of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The plugin-api that it was built with.
    pub api_built: ApiVersion,
    /// The oldest plugin-api that it works with.
    pub api_min: ApiVersion,
    /// Its package.
    pub plugin: PluginInfo,
    /// How it was built.
    pub build: BuildInfo,
    /// What it cannot live without.
    pub needs: Needs,
    /// What it exports.
    pub types: Vec<TypeInfo>,
    /// The whole manifest, without control characters.
    pub json: Json,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// Errors: what is wrong with it, as a sentence.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        let mut json = strict_json::parse(bytes).map_err(|error| {
            let error = error.to_string().replace(char::is_control, " ");
            format!("manifest: expected JSON, found otherwise ({error}; rebuild it)")
        })?;
        strip_controls(&mut json);
        if json["manifest_version"] != 1 {
            let found = &json["manifest_version"];
            return Err(format!("manifest: expected version 1, found {found} (update snaphook)"));
        }
        let types = json["types"].as_array().map(Vec::as_slice).unwrap_or_default();
        if types.len() > MAX_TYPES {
            return Err(format!(
                "manifest: expected at most {MAX_TYPES} types, found {}",
                types.len()
            ));
        }
        let types: Result<Vec<TypeInfo>, String> = types.iter().map(read_type).collect();
        Ok(Manifest {
            api_built: version(&json["api"]["built"])?,
            api_min: version(&json["api"]["min"])?,
            plugin: read_plugin(&json["plugin"])?,
            build: read_build(&json["build"]),
            needs: read_needs(&json["needs"]),
            types: types?,
            json,
        })
    }

    /// Why this host cannot load it, if it cannot.
    pub fn obstacle(&self) -> Option<String> {
        let (built, min, host) = (self.api_built, self.api_min, ApiVersion::HOST);
        let name = &self.plugin.name;
        if built.major != host.major || min > host {
            let needed = if built.major == host.major { min } else { built };
            return Some(format!(
                "built for plugin-api {needed}, this host offers {host} \
                 (update snaphook, or rebuild {name} with plugin-api {host})"
            ));
        }
        let offered = |id: &String| EXTENSIONS.contains(&id.as_str());
        if let Some(id) = self.needs.host_extensions.iter().find(|id| !offered(id)) {
            return Some(format!(
                "needs the extension {id}, this host offers plugin-api {host} without it (update snaphook)"
            ));
        }
        if self.build.panic == "abort" {
            return Some(format!(
                "built with panic = \"abort\": a panic in it would end the run without a word \
                 (rebuild {name} with panic = \"unwind\")"
            ));
        }
        None
    }
}

fn text(object: &Json, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

fn version(value: &Json) -> Result<ApiVersion, String> {
    let version = value.as_str().and_then(ApiVersion::parse);
    version.ok_or_else(|| format!("manifest: expected a version of plugin-api, found {value}"))
}

fn read_plugin(plugin: &Json) -> Result<PluginInfo, String> {
    Ok(PluginInfo {
        name: name(&plugin["name"], "-_")?,
        version: text(plugin, "version"),
        description: text(plugin, "description"),
        license: text(plugin, "license"),
        repository: text(plugin, "repository"),
        authors: text(plugin, "authors"),
    })
}

fn read_build(build: &Json) -> BuildInfo {
    BuildInfo {
        target: text(build, "target"),
        rustc: text(build, "rustc"),
        profile: text(build, "profile"),
        opt_level: text(build, "opt_level"),
        panic: text(build, "panic"),
        has_debug_assertions: build["debug_assertions"].as_bool().unwrap_or(false),
    }
}

fn read_needs(needs: &Json) -> Needs {
    let ids = needs["host_extensions"].as_array().map(Vec::as_slice).unwrap_or_default();
    Needs {
        libtorch: needs["libtorch"].as_str().map(str::to_owned),
        host_extensions: ids.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
    }
}

fn read_type(exported: &Json) -> Result<TypeInfo, String> {
    let points = exported["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known = |name: &Json| HookPoint::ALL.into_iter().find(|point| *name == point.name());
    Ok(TypeInfo {
        kind: text(exported, "kind"),
        name: name(&exported["name"], "_.")?,
        summary: text(exported, "summary"),
        stability: text(exported, "stability"),
        points: points.iter().filter_map(known).collect(),
        priority: exported["priority"].as_i64(),
        cost_us: exported["cost_us"].as_u64(),
        kwargs_schema: exported["kwargs_schema"].clone(),
    })
}

fn name(value: &Json, also: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    let found = value
        .as_str()
        .filter(|name| !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_allowed));
    found.map(str::to_owned).ok_or_else(|| {
        format!("manifest: expected a name of at most {MAX_NAME} ASCII letters, digits, {also}, found {value}")
    })
}

/// A terminal must not obey what a plugin wrote into its manifest.
fn strip_controls(value: &mut Json) {
    match value {
        Json::String(text) if text.chars().any(is_obeyed) => {
            *text = text.chars().map(|c| if is_obeyed(c) { ' ' } else { c }).collect();
        }
        Json::Array(values) => values.iter_mut().for_each(strip_controls),
        Json::Object(entries) => {
            let taken = std::mem::take(entries);
            *entries = taken
                .into_iter()
                .map(|(key, mut value)| {
                    strip_controls(&mut value);
                    (key.replace(is_obeyed, " "), value)
                })
                .collect();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiVersion, Manifest};
    use serde_json::{Value as Json, json};
    use snaphook_plugin_api::HookPoint;

    fn manifest(change: impl FnOnce(&mut Json)) -> Result<Manifest, String> {
        let mut json = json!({
            "manifest_version": 1,
            "api": { "built": "1.0", "min": "1.0" },
            "plugin": { "name": "some-hooks", "version": "0.4.2" },
            "build": { "panic": "unwind" },
            "types": [{ "kind": "hook", "name": "SomeHook", "points": ["before_run", "of_tomorrow"] }],
        });
        change(&mut json);
        Manifest::parse(json.to_string().as_bytes())
    }

    #[test]
    fn manifest_is_read_and_unknown_points_are_left_out() {
        let manifest = manifest(|_| {}).unwrap();
        assert_eq!(manifest.types[0].points, [HookPoint::BeforeRun]);
        assert_eq!((manifest.plugin.version.as_str(), manifest.obstacle()), ("0.4.2", None));
    }

    #[test]
    fn newer_plugin_loads_unless_it_needs_a_newer_host() {
        let newer = manifest(|json| json["api"]["built"] = json!("1.9")).unwrap();
        assert_eq!(newer.obstacle(), None);
        let needs_newer =
            manifest(|json| json["api"] = json!({"built": "1.9", "min": "1.6"})).unwrap();
        assert_eq!(
            needs_newer.obstacle().unwrap(),
            "built for plugin-api 1.6, this host offers 1.0 (update snaphook, or rebuild some-hooks with \
             plugin-api 1.0)"
        );
        assert!(manifest(|json| json["api"]["built"] = json!("2.0")).unwrap().obstacle().is_some());
    }

    #[test]
    fn plugin_that_needs_an_unknown_extension_is_refused() {
        let needing = |id: &str| manifest(|json| json["needs"] = json!({"host_extensions": [id]}));
        assert_eq!(needing("snaphook.model/1").unwrap().obstacle(), None);
        assert_eq!(
            needing("snaphook.pictures/2").unwrap().obstacle().unwrap(),
            "needs the extension snaphook.pictures/2, this host offers plugin-api 1.0 without it (update snaphook)"
        );
    }

    #[test]
    fn plugin_that_aborts_on_panic_is_refused() {
        let aborting = manifest(|json| json["build"]["panic"] = json!("abort")).unwrap();
        assert!(aborting.obstacle().unwrap().contains("panic = \"unwind\""));
    }

    #[test]
    fn hostile_names_are_refused_and_escapes_are_stripped() {
        assert!(manifest(|json| json["plugin"]["name"] = json!("../x")).is_err());
        assert!(manifest(|json| json["types"][0]["name"] = json!("A\u{1b}[2J")).is_err());
        let cleaned =
            manifest(|json| json["plugin"]["description"] = json!("a\u{1b}[2Jb")).unwrap();
        assert_eq!(cleaned.plugin.description, "a [2Jb");
        assert!(Manifest::parse(&b"[".repeat(100_000)).is_err());
    }

    #[test]
    fn versions_have_two_numbers() {
        assert_eq!(ApiVersion::parse("1.6.2"), Some(ApiVersion { major: 1, minor: 6 }));
        assert_eq!(ApiVersion::parse("1"), None);
        assert_eq!(ApiVersion::parse("one.two"), None);
    }
}
