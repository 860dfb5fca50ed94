//! From the `type` of a config to one built-in hook or one plugin, or to the reason why not. Knows nothing of
//! loading.

use crate::catalog::{Catalog, Plugin};
use crate::error::ResolveError;
use crate::manifest::TypeInfo;
use serde_json::Value as Json;
use snaphook_plugin_api::nearest;
use std::sync::Arc;

/// `type='snaphook:Name'` means the built-in hook of that name, whatever plugins export.
pub const BUILT_IN_PREFIX: &str = "snaphook";

/// One type of one plugin.
#[derive(Clone, Debug)]
pub struct PluginType {
    plugin: Arc<Plugin>,
    index: usize,
}

impl PluginType {
    /// The hook types of a plugin, in the order of its manifest.
    pub fn hooks_of(plugin: Plugin) -> Vec<PluginType> {
        let plugin = Arc::new(plugin);
        let types = plugin.manifest.types.iter().enumerate();
        let hooks = types.filter(|(_, exported)| exported.kind == "hook");
        hooks.map(|(index, _)| PluginType { plugin: Arc::clone(&plugin), index }).collect()
    }

    /// The plugin that exports it.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What the manifest says of it.
    pub fn info(&self) -> &TypeInfo {
        &self.plugin.manifest.types[self.index]
    }
}

/// What a `type` stands for.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// The built-in hook of this name, without a scope before it.
    BuiltIn(String),
    /// A type of a plugin.
    Plugin(PluginType),
}

impl Catalog {
    /// What `type` stands for: `Type`, `scope.Type` as MMEngine writes it, or `plugin-name:Type`.
    ///
    /// Errors: nothing of that name, with the folders, the refused files and the nearest name; or more than
    /// one thing of that name, with all their files.
    pub fn resolve(&self, type_name: &str, built_ins: &[&str]) -> Result<Resolved, ResolveError> {
        if let Some((plugin, name)) = type_name.split_once(':') {
            return self.resolve_in(plugin, name, built_ins);
        }
        let bare = type_name.rsplit('.').next().unwrap_or(type_name);
        let mut found = self.exporting(type_name);
        if found.is_empty() {
            found = self.exporting(bare);
        }
        let built_in = built_ins.iter().find(|name| **name == type_name || **name == bare);
        match (found.as_slice(), built_in) {
            ([], Some(name)) => Ok(Resolved::BuiltIn((*name).to_owned())),
            ([one], None) => Ok(Resolved::Plugin(one.clone())),
            ([], None) => Err(self.unknown(type_name, built_ins)),
            (several, built_in) => Err(ambiguous(bare, several, built_in.is_some())),
        }
    }

    fn resolve_in(
        &self,
        plugin: &str,
        name: &str,
        built_ins: &[&str],
    ) -> Result<Resolved, ResolveError> {
        if plugin == BUILT_IN_PREFIX {
            return match built_ins.contains(&name) {
                true => Ok(Resolved::BuiltIn(name.to_owned())),
                false => Err(self.unknown(name, built_ins)),
            };
        }
        let mut found = self.exporting(name);
        found.retain(|exported| exported.plugin.manifest.plugin.name == plugin);
        match found.as_slice() {
            [one] => Ok(Resolved::Plugin(one.clone())),
            [] => Err(self.unknown(&format!("{plugin}:{name}"), built_ins)),
            several => Err(ambiguous(name, several, false)),
        }
    }

    /// The plugins' types of this name.
    fn exporting(&self, name: &str) -> Vec<PluginType> {
        let types = |plugin: &Arc<Plugin>| {
            let types = plugin.manifest.types.iter().enumerate();
            let same =
                types.filter(|(_, exported)| exported.kind == "hook" && exported.name == name);
            same.map(|(index, _)| PluginType { plugin: Arc::clone(plugin), index })
                .collect::<Vec<_>>()
        };
        self.plugins.iter().flat_map(types).collect()
    }

    fn unknown(&self, type_name: &str, built_ins: &[&str]) -> ResolveError {
        let bare = type_name.rsplit([':', '.']).next().unwrap_or(type_name);
        let exported = self.plugins().flat_map(|plugin| &plugin.manifest.types);
        let known =
            exported.map(|exported| exported.name.as_str()).chain(built_ins.iter().copied());
        // A refused file that has the type is what the user is looking for.
        let mut refused = self.refused.clone();
        refused.sort_by_key(|refused| !refused.types.iter().any(|name| name == bare));
        ResolveError::Unknown {
            type_name: type_name.to_owned(),
            nearest: nearest(bare, known).map(str::to_owned),
            folders: self.folders.clone(),
            refused,
        }
    }
}

fn ambiguous(name: &str, found: &[PluginType], is_built_in: bool) -> ResolveError {
    let spelling = |exported: &PluginType| {
        let plugin = &exported.plugin.manifest.plugin.name;
        (format!("{plugin}:{name}"), exported.plugin.path.clone())
    };
    let spellings = found.iter().map(spelling).collect();
    ResolveError::Ambiguous { type_name: name.to_owned(), is_built_in, spellings }
}

/// Checks keyword arguments against the plugin's manifest, without running any of its code.
///
/// Errors: everything that is wrong, one sentence each, in the words of the plugin's constructor.
pub fn check_kwargs(plugin_type: &PluginType, kwargs: &Json) -> Result<(), Vec<String>> {
    let info = plugin_type.info();
    let wrong = snaphook_plugin_api::check_kwargs(&info.name, &info.kwargs_schema, kwargs);
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::{Resolved, check_kwargs};
    use crate::catalog::Catalog;
    use crate::catalog::fixtures::{discover, write_plugin, write_plugin_for};
    use serde_json::json;

    fn catalog() -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_plugin(&path("liba.so"), "a", &["CheckInvalidLossHook", "EMAHook", "SharedHook"]);
        write_plugin(&path("libb.so"), "b", &["SharedHook"]);
        write_plugin_for(&path("libnew.so"), "new", &["NewHook"], "1.6");
        let catalog = discover(&[folder.path()]);
        (folder, catalog)
    }

    #[test]
    fn plain_scoped_and_qualified_names_are_found() {
        let (_folder, catalog) = catalog();
        for name in ["CheckInvalidLossHook", "mmdet.CheckInvalidLossHook", "a:CheckInvalidLossHook"]
        {
            let Ok(Resolved::Plugin(found)) = catalog.resolve(name, &["EMAHook"]) else {
                panic!("{name}")
            };
            assert_eq!(found.info().name, "CheckInvalidLossHook");
        }
        for name in ["LoggerHook", "mmengine.LoggerHook", "snaphook:LoggerHook"] {
            let found = catalog.resolve(name, &["LoggerHook"]);
            assert!(matches!(found, Ok(Resolved::BuiltIn(name)) if name == "LoggerHook"));
        }
    }

    #[test]
    fn two_plugins_with_one_type_show_both_paths_and_spellings() {
        let (folder, catalog) = catalog();
        let text = catalog.resolve("SharedHook", &[]).unwrap_err().to_string();
        for part in ["a:SharedHook", "b:SharedHook"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.contains(folder.path().join("libb.so").to_str().unwrap()));
        assert!(matches!(catalog.resolve("b:SharedHook", &[]), Ok(Resolved::Plugin(_))));
    }

    #[test]
    fn of_copies_of_one_plugin_all_but_one_are_to_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_plugin(&path("libold.so"), "a", &["SharedHook"]);
        write_plugin(&path("libnew.so"), "a", &["SharedHook", "NewHook"]);
        let catalog = discover(&[folder.path()]);
        for name in ["SharedHook", "a:SharedHook"] {
            let text = catalog.resolve(name, &[]).unwrap_err().to_string();
            assert!(text.contains("one plugin several times: remove all but one"), "{text}");
            assert!(text.contains("libold.so") && text.contains("libnew.so"), "{text}");
        }
        let built_in = catalog.resolve("SharedHook", &["SharedHook"]).unwrap_err().to_string();
        assert!(built_in.contains("remove all files but one first"), "{built_in}");
    }

    #[test]
    fn plugin_must_not_shadow_a_built_in_hook() {
        let (_folder, catalog) = catalog();
        let text = catalog.resolve("EMAHook", &["EMAHook"]).unwrap_err().to_string();
        assert!(text.contains("snaphook:EMAHook") && text.contains("a:EMAHook"), "{text}");
        assert!(matches!(
            catalog.resolve("snaphook:EMAHook", &["EMAHook"]),
            Ok(Resolved::BuiltIn(_))
        ));
        assert!(matches!(catalog.resolve("a:EMAHook", &["EMAHook"]), Ok(Resolved::Plugin(_))));
    }

    #[test]
    fn missing_type_names_folders_refused_files_and_the_nearest_name() {
        let (folder, catalog) = catalog();
        let text = catalog.resolve("CheckInvalidLosHook", &[]).unwrap_err().to_string();
        assert!(text.contains("did you mean 'CheckInvalidLossHook'?"), "{text}");
        assert!(text.contains(&format!("{} (--plugins)", folder.path().display())), "{text}");
        let text = catalog.resolve("NewHook", &[]).unwrap_err().to_string();
        assert!(text.contains("libnew.so: built for plugin-api 1.6"), "{text}");
    }

    #[test]
    fn arguments_are_checked_without_loading() {
        let (_folder, catalog) = catalog();
        let Ok(Resolved::Plugin(found)) = catalog.resolve("a:EMAHook", &[]) else { panic!() };
        assert_eq!(check_kwargs(&found, &json!({ "interval": 2 })), Ok(()));
        assert_eq!(
            check_kwargs(&found, &json!({ "interval": "fast" })).unwrap_err(),
            ["EMAHook.interval: expected an integer of at least 1, found \"fast\""]
        );
    }
}
