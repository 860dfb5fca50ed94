//! `export_plugin!`: what makes a crate a plugin. Knows nothing of any hook.

/// Exports hooks from a `.so`: once per crate, with all its hook types. The crate must be a `cdylib`.
///
/// After a semicolon a plugin may say what it cannot live without; a host that lacks it refuses the plugin
/// before any of its code runs: `needs_api = "1.0"` (the oldest contract), `needs_extensions = &["id/1"]` (ids of
/// [`host::EXTENSIONS`](crate::host::EXTENSIONS)), `needs_libtorch = "2.11"` (for a plugin that links libtorch itself).
///
/// ```
/// use snaphook_plugin_api::prelude::*;
///
/// /// Says hello.
/// #[derive(Kwargs)]
/// struct Hello;
///
/// #[hook]
/// impl Hook for Hello {
///     fn before_train(&mut self, runner: &mut Runner) -> HookResult {
///         runner.info("hello");
///         Ok(())
///     }
/// }
///
/// export_plugin!(Hello);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($first:ty $(, $more:ty)* $(,)? $(; $($need:ident = $value:expr),+ $(,)?)?) => {
        const _: () = {
            use $crate::__private::{manifest, plugin};

            struct Exported;

            impl plugin::Plugin for Exported {
                const NAME: &'static str = ::core::env!("CARGO_PKG_NAME");
                const EXPORTS: &'static [plugin::Export] =
                    &[plugin::Export::hook::<$first>() $(, plugin::Export::hook::<$more>())*];
            }

            const PACKAGE: manifest::Package = manifest::Package {
                name: ::core::env!("CARGO_PKG_NAME"),
                version: ::core::env!("CARGO_PKG_VERSION"),
                description: ::core::env!("CARGO_PKG_DESCRIPTION"),
                license: ::core::env!("CARGO_PKG_LICENSE"),
                repository: ::core::env!("CARGO_PKG_REPOSITORY"),
                authors: ::core::env!("CARGO_PKG_AUTHORS"),
                aborts_on_panic: ::core::cfg!(panic = "abort"),
                has_debug_assertions: ::core::cfg!(debug_assertions),
                needs: manifest::Needs::NOTHING $($(.$need($value))+)?,
            };
            const MANIFEST: manifest::Text = manifest::Text::manifest(&PACKAGE)
                .hook::<$first>(true)
                $(.hook::<$more>(false))*
                .end();

            #[used]
            #[no_mangle]
            #[link_section = ".note.snaphook"]
            pub static SNAPHOOK_MANIFEST: manifest::Note<{ MANIFEST.padded_length() }> =
                manifest::Note::new(&MANIFEST);

            extern "C" fn module() -> $crate::__private::RootModuleResult {
                $crate::__private::root_module(plugin::module::<Exported>)
            }

            #[export_name = "snaphook_plugin_1"]
            pub static SNAPHOOK_ENTRY: $crate::abi::PluginEntry = plugin::entry::<Exported>();

            // The name by which abi_stable finds the entry points.
            #[export_name = "_1as_0lib_1header_0root_bmodule_bloader"]
            pub static SNAPHOOK_PLUGIN: $crate::__private::LibHeader =
                // SAFETY: `module` answers a `PluginModuleRef`.
                unsafe {
                    $crate::__private::LibHeader::from_constructor::<
                        $crate::abi::PluginModuleRef,
                    >(module, $crate::__private::CheckTypeLayout::Yes)
                };
        };
    };
}
