//! The services `data`, `checkpoint` and `visual`.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use snaphook_plugin_api::host::ServiceError;

use super::{Answer, expected, failed, text, unknown, whole};
use crate::checkpoint;
use crate::machine::{Machine, SaveRequest, stage};
use crate::{DataSource, DrawRequest};

impl Machine {
    pub(super) fn data_service(&mut self, method: &str, arguments: &Json) -> Answer {
        match method {
            "meta" => return Ok(self.data_meta(text(arguments, "split")?)),
            "metric_names" => return Ok(json!(self.metric_names())),
            "set_epoch" => {
                let epoch = whole(arguments, "epoch")?;
                self.train_data()?.set_epoch(epoch);
            }
            "skip_transforms" => {
                let types = arguments["types"].as_array().map(|types| {
                    types
                        .iter()
                        .filter_map(|name| name.as_str().map(str::to_owned))
                        .collect::<Vec<_>>()
                });
                let types = types.ok_or_else(|| {
                    expected("types", "a list of type names", &arguments["types"])
                })?;
                self.train_data()?.skip_transforms(&types).map_err(failed)?;
            }
            "set_pipeline" => {
                self.train_data()?.set_pipeline(&arguments["pipeline"]).map_err(failed)?;
            }
            "set_scale" => {
                let scale = serde_json::from_value(arguments["scale"].clone()).ok();
                let is_size = |scale: &[u64; 2]| scale.iter().all(|side| *side > 0);
                let scale = scale.filter(is_size).ok_or_else(|| {
                    expected("scale", "width and height in pixels", &arguments["scale"])
                })?;
                self.train_data()?.set_scale(scale).map_err(failed)?;
            }
            "pipelines" => return Ok(json!(self.train_data()?.pipelines())),
            _ => return Err(unknown("snaphook.data/1", method)),
        }
        Ok(Json::Null)
    }

    fn train_data(
        &mut self,
    ) -> Result<&mut dyn DataSource, snaphook_plugin_api::host::ServiceError> {
        match &mut self.task.train_data {
            Some(data) => Ok(data.as_mut()),
            None => Err(failed("there is no training data: this run does not train")),
        }
    }

    pub(super) fn checkpoint_service(&mut self, method: &str, mut arguments: Json) -> Answer {
        match method {
            "save" => {
                let request: SaveRequest = serde_json::from_value(arguments).map_err(failed)?;
                check_name(&request.name)?;
                if let Some(folder) = request.folder.as_ref().filter(|path| !self.is_own(path)) {
                    let folder = folder.display();
                    return Err(failed(format!("{folder}: call use_folder before saving there")));
                }
                self.requests.push_back(request);
            }
            "entry" => {
                return Ok(self
                    .entries
                    .get(text(&arguments, "key")?)
                    .cloned()
                    .unwrap_or(Json::Null));
            }
            "set_entry" => {
                let value = arguments["value"].take();
                self.entries.insert(text(&arguments, "key")?.to_owned(), value);
            }
            "remove" => {
                let path = self.own_checkpoint(&arguments)?;
                // Rank 0 writes, and takes away.
                if self.ranks.is_main() {
                    self.writer.remove(path).map_err(failed)?;
                }
            }
            "folder" => return Ok(json!(self.home())),
            "use_folder" => return self.use_folder(Path::new(text(&arguments, "path")?)),
            "publish" => {
                let path = self.own_checkpoint(&arguments)?;
                let keys = arguments["keys"].as_array().map_or(&[][..], Vec::as_slice);
                let keys: Vec<&str> = keys.iter().filter_map(Json::as_str).collect();
                let published = checkpoint::publish(&path, &keys).map_err(failed)?;
                return Ok(json!(published));
            }
            _ => return Err(unknown("snaphook.checkpoint/1", method)),
        }
        Ok(Json::Null)
    }

    fn use_folder(&mut self, path: &Path) -> Answer {
        if self.is_trial {
            // Real checkpoints may lie there.
            return Ok(json!(self.home()));
        }
        let told = |error: std::io::Error| failed(format!("{}: {error}", path.display()));
        std::fs::create_dir_all(path).map_err(told)?;
        let folder = path.canonicalize().map_err(told)?;
        if !self.is_own(&folder) {
            if self.ranks.is_main() {
                checkpoint::clean_leftovers(&folder).map_err(failed)?;
            }
            self.checkpoint_folders.push(folder.clone());
        }
        Ok(json!(folder))
    }

    /// Whether checkpoints in this folder are this run's.
    fn is_own(&self, folder: &Path) -> bool {
        folder == self.home() || self.checkpoint_folders.iter().any(|own| own == folder)
    }

    /// The checkpoint that the arguments name, which must lie in a folder of this run.
    fn own_checkpoint(&self, arguments: &Json) -> Result<PathBuf, ServiceError> {
        let path = self.home().join(text(arguments, "path")?);
        if path.parent().is_some_and(|folder| self.is_own(folder)) {
            Ok(path)
        } else {
            Err(failed(format!("{}: not a checkpoint of this run", path.display())))
        }
    }

    pub(super) fn visual_service(&mut self, method: &str, arguments: &Json) -> Answer {
        match method {
            "scalars" => {
                let values = arguments["values"].as_object();
                let values =
                    values.ok_or_else(|| expected("values", "an object", &arguments["values"]))?;
                let step = whole(arguments, "step")?;
                if let Some(visuals) = &mut self.visuals {
                    visuals.scalars(values, step).map_err(failed)?;
                }
                self.log.scalars(values, step);
                Ok(Json::Null)
            }
            "draw_predictions" => self.draw(arguments),
            _ => Err(unknown("snaphook.visual/1", method)),
        }
    }

    fn draw(&mut self, arguments: &Json) -> Answer {
        let (Some(painter), Some(batch), Some(predictions)) =
            (&mut self.task.painter, &self.batch, &self.predictions)
        else {
            return Ok(json!([]));
        };
        // Pictures of a test keep the names of their files, so every rank draws its share.
        if !self.ranks.is_main() && arguments["folder"].is_null() {
            return Ok(json!([]));
        }
        let (folder, keeps_names) = match arguments["folder"].as_str() {
            Some(folder) => (self.info.run_dir.join(folder), true),
            None => (self.vis_settings.picture_folder(&self.info.vis_data()), false),
        };
        let is_test = self.progress.stage == stage::TEST;
        let name =
            arguments["name"].as_str().unwrap_or(if is_test { "test_img" } else { "val_img" });
        let usual_step = if is_test { self.drawn + 1 } else { self.progress.iter };
        let request = DrawRequest {
            folder,
            name: name.to_owned(),
            keeps_names,
            step: arguments["step"].as_u64().unwrap_or(usual_step),
            score_threshold: arguments["score_thr"].as_f64().unwrap_or(0.3),
            most: arguments["most"].as_u64().unwrap_or(1) as usize,
            with_truth: arguments["ground_truth"] == true,
        };
        let files = painter.draw(batch, predictions, &request).map_err(failed)?;
        self.drawn += if is_test { files.len() as u64 } else { 0 };
        if let Some(visuals) = self.visuals.as_mut().filter(|_| !keeps_names) {
            for (file, step) in files.iter().zip(request.step..) {
                visuals.picture(name, file, step).map_err(failed)?;
            }
        }
        Ok(json!(files))
    }
}

/// A checkpoint's name must stay inside the work folder.
fn check_name(name: &str) -> Result<(), snaphook_plugin_api::host::ServiceError> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    if plain {
        Ok(())
    } else {
        Err(failed(format!("name: expected a plain file name, found \"{name}\"")))
    }
}
