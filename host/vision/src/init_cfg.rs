//! What the `init_cfg` of a model's parts say: rules for start values, and files with trained weights.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use snaphook_components::vision as declared;
use snaphook_components::{Catalog, ComponentError, OneOrMany, Role, read, type_name};
use snaphook_runner::{BoxError, ModelState};
use tch::Tensor;

use crate::ModelError;
use crate::nn::{Fill, Rule, StartValues, initialise};

/// The start values of a whole model.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    values: StartValues,
    pretrained: Vec<Pretrained>,
}

/// A part with trained weights.
#[derive(Debug)]
struct Pretrained {
    /// Dotted name of the part; empty for the whole model.
    part: String,
    /// Key path of its `init_cfg`.
    path: String,
    /// File, address or name.
    checkpoint: String,
    /// Begin of the names that are taken from the file.
    prefix: Option<String>,
}

impl Starts {
    /// Takes in what the `init_cfg` of a part says; `defaults` is what holds where there is none, and for what a file
    /// with weights does not have.
    pub(crate) fn read(
        &mut self,
        init_cfg: Option<&OneOrMany<Json>>,
        path: &str,
        part: &str,
        defaults: Vec<Rule>,
    ) -> Result<(), ComponentError> {
        let (entries, is_list) = match init_cfg {
            None => (Vec::new(), false),
            Some(OneOrMany::One(entry)) => (vec![entry], false),
            Some(OneOrMany::Many(entries)) => (entries.iter().collect(), true),
        };
        let is_given = |entry: &&Json| {
            entry["type"].as_str().is_some_and(|name| !name.ends_with("Pretrained"))
        };
        if !entries.iter().any(is_given) {
            self.values.rules.extend(defaults);
        }
        for (i, entry) in entries.into_iter().enumerate() {
            let below =
                if is_list { format!("{path}.init_cfg.{i}") } else { format!("{path}.init_cfg") };
            self.read_one(entry, &below, part)?;
        }
        Ok(())
    }

    fn read_one(&mut self, entry: &Json, path: &str, part: &str) -> Result<(), ComponentError> {
        if type_name(Role::Initialisation, entry, path)? == "Pretrained" {
            let declared::Pretrained { checkpoint, prefix, .. } = read(entry, path)?;
            let (part, path) = (part.to_owned(), path.to_owned());
            self.pretrained.push(Pretrained { part, path, checkpoint, prefix });
            return Ok(());
        }
        let (fill, targets) = fill(entry, path)?;
        let rule = |bias: f64, layers: Vec<String>, name: Option<String>| Rule {
            prefix: part.to_owned(),
            part: name,
            layers,
            fill,
            bias,
        };
        let overrides = targets.overrides.map_or(Vec::new(), OneOrMany::into_list);
        if targets.layers.is_some() || overrides.is_empty() {
            let layers = targets.layers.map_or(Vec::new(), OneOrMany::into_list);
            self.values.rules.push(rule(targets.bias, layers, None));
        }
        for (i, value) in overrides.iter().enumerate() {
            let path = format!("{path}.override.{i}");
            let name = Some(read::<declared::InitOverride>(value, &path)?.name);
            let mut own = value.clone();
            if let Some(own) = own.as_object_mut() {
                own.remove("name");
            }
            let mut rule = rule(targets.bias, Vec::new(), name);
            if own.get("type").is_some() {
                let (fill, targets) = self::fill(&own, &path)?;
                (rule.fill, rule.bias) = (fill, targets.bias);
            }
            self.values.rules.push(rule);
        }
        Ok(())
    }

    /// Fills every tensor, lets the model `finish`, and then reads the files with trained weights.
    ///
    /// Errors: a file that cannot be had or read, or in which nothing fits.
    pub(crate) fn fill(
        &self,
        state: &ModelState,
        seed: u64,
        finish: impl FnOnce(),
    ) -> Result<(), BoxError> {
        initialise(state, &self.values, seed);
        finish();
        for pretrained in &self.pretrained {
            let failed = |source| ModelError::Pretrained { path: pretrained.path.clone(), source };
            pretrained.load(state).map_err(failed)?;
        }
        Ok(())
    }
}

impl Pretrained {
    /// Copies what fits by name and shape, as MMEngine does; the rest keeps its start values.
    fn load(&self, state: &ModelState) -> Result<(), BoxError> {
        let file: PathBuf = snaphook_weights::locate(&self.checkpoint)?;
        let checkpoint = snaphook_runner::checkpoint::load(&file)?;
        let named = self.own_names(checkpoint.model, &file)?;
        let inner = if self.part.is_empty() { String::new() } else { format!("{}.", self.part) };
        let saved =
            |name: &str| named.iter().find(|(own, _)| own == name).map(|(_, tensor)| tensor);
        let (mut fitting, mut missing) = (0, Vec::new());
        for entry in state.entries() {
            let Some(own) = entry.name.strip_prefix(&inner) else { continue };
            match saved(own) {
                Some(tensor) if tensor.size() == entry.tensor.size() => {
                    tch::no_grad(|| entry.tensor.detach().copy_(tensor));
                    fitting += 1;
                }
                None if own.ends_with("num_batches_tracked") => {}
                _ => missing.push(own.to_owned()),
            }
        }
        if fitting == 0 {
            return Err(format!("{}: no tensor in it fits", file.display()).into());
        }
        let (name, file) =
            (if self.part.is_empty() { "model" } else { &self.part }, file.display());
        tracing::info!("{name}: {fitting} tensors from {file}");
        if !missing.is_empty() {
            let shown = missing.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
            tracing::warn!(
                "{name}: {} tensors are not in {file}, or have another shape there, and keep their start values: {shown}",
                missing.len()
            );
        }
        Ok(())
    }

    fn own_names(
        &self,
        tensors: Vec<(String, Tensor)>,
        file: &Path,
    ) -> Result<Vec<(String, Tensor)>, BoxError> {
        let plain = |name: String| name.strip_prefix("module.").map(str::to_owned).unwrap_or(name);
        let tensors = tensors.into_iter().map(|(name, tensor)| (plain(name), tensor));
        let Some(prefix) = &self.prefix else { return Ok(tensors.collect()) };
        let prefix = format!("{}.", prefix.trim_end_matches('.'));
        let own = |(name, tensor): (String, Tensor)| {
            name.strip_prefix(&prefix).map(|name| (name.to_owned(), tensor))
        };
        let own: Vec<_> = tensors.filter_map(own).collect();
        if own.is_empty() {
            return Err(format!("{}: no name begins with {prefix:?}", file.display()).into());
        }
        Ok(own)
    }
}

/// Which layers an entry is about.
struct Targets {
    bias: f64,
    layers: Option<OneOrMany<String>>,
    overrides: Option<OneOrMany<Json>>,
}

fn fill(entry: &Json, path: &str) -> Result<(Fill, Targets), ComponentError> {
    macro_rules! read_as {
        ($kind:ty, $fill:expr) => {{
            let own: $kind = read(entry, path)?;
            let fill: fn(&$kind) -> Fill = $fill;
            let bias = own.bias_prob.map_or(own.bias, |p| -((1.0 - p) / p).ln());
            (fill(&own), Targets { bias, layers: own.layer, overrides: own.r#override })
        }};
    }
    Ok(match type_name(Role::Initialisation, entry, path)? {
        "Kaiming" => read_as!(declared::Kaiming, |own| Fill::Kaiming {
            gain: match own.nonlinearity.as_str() {
                "leaky_relu" => (2.0 / (1.0 + own.a * own.a)).sqrt(),
                _ => 2.0_f64.sqrt(),
            },
            fan_out: own.mode == "fan_out",
            uniform: own.distribution == "uniform",
        }),
        "Xavier" => read_as!(declared::Xavier, |own| Fill::Xavier {
            gain: own.gain,
            uniform: own.distribution == "uniform",
        }),
        "Normal" => {
            read_as!(declared::Normal, |own| Fill::Normal { mean: own.mean, std: own.std })
        }
        "Constant" => read_as!(declared::Constant, |own| Fill::Constant(own.val)),
        _ => return Err(Catalog::built_in().unknown(Role::Initialisation, entry, path).into()),
    })
}
