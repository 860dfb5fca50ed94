//! The host's view of a hook that lives in a `.so`. Knows nothing of files.

use crate::breadcrumb::{self, Crumb, Entered, Place};
use crate::entry::no_null;
use crate::resolve::PluginType;
use snaphook_plugin_api::abi::{
    CallContext, HookObject, HookVTable, Sink, Text, read_error, status,
};
use snaphook_plugin_api::host::{HookInstance, HookSource, HostContext, Services};
use snaphook_plugin_api::{HookError, HookPoint, HookResult, HookState};
use std::ffi::c_void;

/// A hook of a plugin; closed when it is dropped, while its code stays.
pub struct PluginHook {
    instance: *mut c_void,
    vtable: HookVTable,
    type_name: String,
    points: Vec<HookPoint>,
    priority: Option<i64>,
    source: HookSource,
    crumb: &'static Crumb,
    iteration: u64,
}

impl PluginHook {
    /// # Safety
    /// `object` must come from the constructor of the plugin of `plugin_type`, for nobody else.
    pub(crate) unsafe fn new(
        object: HookObject,
        plugin_type: &PluginType,
        crumb: &'static Crumb,
    ) -> Result<PluginHook, HookError> {
        let table = object.vtable;
        // SAFETY: a vtable of a plugin stays for the rest of the process; it has four functions.
        let is_whole = !table.is_null()
            && table.is_aligned()
            && unsafe { no_null(table.cast::<[usize; 4]>(), 0) };
        if !is_whole {
            return Err(HookError::new("expected a hook, found a vtable that lacks a function"));
        }
        // SAFETY: as above, and its functions are not null.
        let vtable = unsafe { *table };
        let (plugin, info) = (plugin_type.plugin(), plugin_type.info());
        Ok(PluginHook {
            instance: object.instance,
            vtable,
            type_name: info.name.clone(),
            points: info.points.clone(),
            priority: info.priority,
            source: HookSource::Plugin {
                name: plugin.manifest.plugin.name.clone(),
                version: plugin.manifest.plugin.version.clone(),
                path: plugin.path.clone(),
            },
            crumb,
            iteration: 0,
        })
    }

    /// Leaves word that this thread is in the plugin, until the answer is dropped.
    fn enter(&self, place: Place) -> Entered {
        breadcrumb::enter(self.crumb, place, None, self.iteration)
    }
}

impl HookInstance for PluginHook {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn source(&self) -> &HookSource {
        &self.source
    }

    fn points(&self) -> &[HookPoint] {
        &self.points
    }

    fn default_priority(&self) -> Option<i64> {
        self.priority
    }

    fn call(
        &mut self,
        point: HookPoint,
        batch_idx: Option<u64>,
        host: &mut dyn Services,
    ) -> HookResult {
        self.iteration = host.progress().iter;
        let mut context = HostContext::new(host);
        let call = CallContext {
            point: point.number(),
            has_batch_idx: u32::from(batch_idx.is_some()),
            batch_idx: batch_idx.unwrap_or(0),
            host: context.as_pointer(),
        };
        let mut why = String::new();
        let place = Place::point(point);
        let _inside = breadcrumb::enter(self.crumb, place, batch_idx, self.iteration);
        // SAFETY: the instance is open; the context and the sink outlive the call, and nothing else
        // uses the services meanwhile.
        let code = unsafe { (self.vtable.call)(self.instance, &call, Sink::to(&mut why)) };
        match code {
            status::OK => Ok(()),
            _ => Err(read_error(code, &why)),
        }
    }

    fn save_state(&mut self) -> Result<Option<HookState>, HookError> {
        let (mut version, mut text) = (0, String::new());
        let _inside = self.enter(Place::SAVE_STATE);
        // SAFETY: as in `call`.
        let code =
            unsafe { (self.vtable.save_state)(self.instance, &mut version, Sink::to(&mut text)) };
        match code {
            status::NONE => Ok(None),
            status::OK => {
                let data = serde_json::from_str(&text).map_err(HookError::from_error)?;
                Ok(Some(HookState { version, data }))
            }
            _ => Err(read_error(code, &text)),
        }
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        let (data, mut why) = (state.data.to_string(), String::new());
        let _inside = self.enter(Place::LOAD_STATE);
        // SAFETY: as in `call`; the text outlives the call.
        let code = unsafe {
            (self.vtable.load_state)(
                self.instance,
                state.version,
                Text::new(&data),
                Sink::to(&mut why),
            )
        };
        match code {
            status::OK => Ok(()),
            _ => Err(read_error(code, &why)),
        }
    }
}

impl Drop for PluginHook {
    fn drop(&mut self) {
        let _inside = self.enter(Place::CLOSE);
        // SAFETY: the instance is open, and nobody uses it again.
        unsafe { (self.vtable.close)(self.instance) }
    }
}
