//! Where scalars, pictures and the config of a run are shown: `visualizer.vis_backends` of a config.
//! Knows nothing of where they come from.
//!
//! Source: MMEngine 0.10.7 `mmengine/visualization/vis_backend.py`. Where we differ: `scalars.json` and pictures are
//! written even when only TensorBoard is asked for, since `snaphook report` and `snaphook runs` read them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};
use snaphook_report::tensorboard::EventWriter;

use super::ScalarFile;
use crate::RunError;

/// What a config asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisSettings {
    /// File name in the folder of scalars.
    scalar_file: String,
    /// Folder name beside it.
    picture_folder: String,
    /// File name for the config beside it.
    config_file: String,
    /// Another folder than the run's for all of these.
    local_folder: Option<PathBuf>,
    /// Whether event files are written, and where if not in the run's folder.
    tensorboard: Option<Option<PathBuf>>,
}

impl Default for VisSettings {
    fn default() -> VisSettings {
        VisSettings {
            scalar_file: "scalars.json".to_owned(),
            picture_folder: "vis_image".to_owned(),
            config_file: "config.py".to_owned(),
            local_folder: None,
            tensorboard: None,
        }
    }
}

impl VisSettings {
    /// Reads `visualizer`.
    ///
    /// Errors: a backend that is not in this version, an unknown key, a file name that has no sense.
    pub fn from_config(config: &Json) -> Result<VisSettings, RunError> {
        let mut settings = VisSettings::default();
        let key = "visualizer.vis_backends";
        let backends = match &config["visualizer"]["vis_backends"] {
            Json::Null => return Ok(settings),
            Json::Array(backends) => backends,
            other => return Err(wrong(key, "a list of dicts", other)),
        };
        for (index, backend) in backends.iter().enumerate() {
            settings.add(&format!("{key}.{index}"), backend)?;
        }
        Ok(settings)
    }

    fn add(&mut self, key: &str, backend: &Json) -> Result<(), RunError> {
        let kind = backend["type"].as_str().unwrap_or_default();
        let kind = kind.rsplit_once('.').map_or(kind, |(_, name)| name);
        if !matches!(kind, "LocalVisBackend" | "TensorboardVisBackend") {
            let found = &backend["type"];
            let message = format!(
                "expected LocalVisBackend or TensorboardVisBackend, found {found} (this version has no other; leave it out)"
            );
            return Err(RunError::config(format!("{key}.type"), message));
        }
        let is_local = kind == "LocalVisBackend";
        if !is_local {
            self.tensorboard = Some(None);
        }
        for (name, value) in backend.as_object().into_iter().flatten() {
            let place = format!("{key}.{name}");
            match (name.as_str(), is_local) {
                ("type" | "_scope_", _) => {}
                ("save_dir", _) if value.is_null() => {}
                ("save_dir", true) => self.local_folder = Some(text(&place, value)?.into()),
                ("save_dir", false) => self.tensorboard = Some(Some(text(&place, value)?.into())),
                ("img_save_dir", true) => self.picture_folder = file_name(&place, value, "")?,
                ("config_save_file", true) => self.config_file = file_name(&place, value, ".py")?,
                ("scalar_save_file", true) => self.scalar_file = file_name(&place, value, ".json")?,
                _ => return Err(RunError::config(place, "unknown (leave it out)")),
            }
        }
        Ok(())
    }

    /// The folder that pictures of a run go to.
    pub(crate) fn picture_folder(&self, vis_data: &Path) -> PathBuf {
        self.local_folder(vis_data).join(&self.picture_folder)
    }

    fn local_folder(&self, vis_data: &Path) -> PathBuf {
        self.local_folder.clone().unwrap_or_else(|| vis_data.to_owned())
    }
}

fn wrong(key: &str, expected: &str, found: &Json) -> RunError {
    RunError::config(key, format!("expected {expected}, found {found}"))
}

fn text<'a>(key: &str, value: &'a Json) -> Result<&'a str, RunError> {
    value.as_str().ok_or_else(|| wrong(key, "a text", value))
}

/// A name of one file, which must not lead out of the folder.
fn file_name(key: &str, value: &Json, ending: &str) -> Result<String, RunError> {
    let name = text(key, value)?;
    if name.ends_with(ending) && Path::new(name).file_name().is_some_and(|last| last == name) {
        return Ok(name.to_owned());
    }
    let expected = match ending {
        "" => "a folder's name".to_owned(),
        ending => format!("a file's name that ends in {ending}"),
    };
    Err(wrong(key, &expected, value))
}

/// The open files of a run.
#[derive(Debug)]
pub struct VisBackends {
    scalars: ScalarFile,
    tensorboard: Option<EventWriter>,
}

impl VisBackends {
    /// Opens the files; `vis_data/config.py` is there already.
    ///
    /// Errors: a folder or file that cannot be made.
    pub fn open(
        settings: &VisSettings,
        vis_data: &Path,
        timestamp: &str,
    ) -> Result<VisBackends, RunError> {
        let folder = settings.local_folder(vis_data);
        make(&folder)?;
        let scalars = ScalarFile::create(&folder, &settings.scalar_file, timestamp)?;
        let config = vis_data.join("config.py");
        let copy = folder.join(&settings.config_file);
        if copy != config && config.is_file() {
            std::fs::copy(&config, &copy).map_err(|error| RunError::file(&copy, error))?;
        }
        let mut backends = VisBackends { scalars, tensorboard: None };
        if let Some(folder) = &settings.tensorboard {
            let folder = folder.clone().unwrap_or_else(|| vis_data.to_owned());
            make(&folder)?;
            let mut writer = EventWriter::create(&folder)?;
            // MMEngine shows the config as one text, which TensorBoard renders as Markdown.
            if let Ok(text) = std::fs::read_to_string(&config) {
                writer.text("config", &text, 0)?;
                writer.flush()?;
            }
            backends.tensorboard = Some(writer);
        }
        Ok(backends)
    }

    /// Shows numbers of one step.
    ///
    /// Errors: a file that cannot be written (full disk).
    pub fn scalars(&mut self, values: &Map<String, Json>, step: u64) -> Result<(), RunError> {
        self.scalars.append(values, step)?;
        let Some(writer) = &mut self.tensorboard else { return Ok(()) };
        for (name, value) in values {
            if let Some(value) = number(value) {
                writer.scalar(name, value, step)?;
            }
        }
        Ok(writer.flush()?)
    }

    /// Shows a picture that lies in a file; of other files than PNG there is nothing to show here.
    ///
    /// Errors: a file that cannot be read or written.
    pub fn picture(&mut self, name: &str, file: &Path, step: u64) -> Result<(), RunError> {
        let is_png = file.extension().is_some_and(|ending| ending == "png");
        let Some(writer) = self.tensorboard.as_mut().filter(|_| is_png) else { return Ok(()) };
        let png = std::fs::read(file).map_err(|error| RunError::file(file, error))?;
        writer.png(name, &png, step)?;
        Ok(writer.flush()?)
    }
}

/// A value of a record; the words stand for numbers that JSON does not know.
fn number(value: &Json) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

fn make(folder: &Path) -> Result<(), RunError> {
    std::fs::create_dir_all(folder).map_err(|error| RunError::file(folder, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use snaphook_report::tensorboard::{Value, read_events};

    fn settings(backends: Json) -> Result<VisSettings, String> {
        let config = json!({ "visualizer": { "type": "Visualizer", "vis_backends": backends } });
        VisSettings::from_config(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn backends_that_are_not_there_and_wrong_names_are_refused() {
        for (backends, expected) in [
            (
                json!([{ "type": "WandbVisBackend" }]),
                "vis_backends.0.type: expected LocalVisBackend",
            ),
            (
                json!([{ "type": "LocalVisBackend", "scalar_save_file": "../x.json" }]),
                "scalar_save_file: ",
            ),
            (json!([{ "type": "LocalVisBackend", "config_save_file": "c.txt" }]), "ends in .py"),
            (
                json!([{ "type": "TensorboardVisBackend", "img_save_dir": "x" }]),
                "img_save_dir: unknown",
            ),
            (json!({ "type": "LocalVisBackend" }), "vis_backends: expected a list"),
        ] {
            let found = settings(backends).unwrap_err();
            assert!(found.contains(expected), "{found}");
        }
        assert_eq!(
            settings(json!([{ "type": "mmengine.LocalVisBackend" }])),
            Ok(VisSettings::default())
        );
    }

    #[test]
    fn a_record_goes_to_both_files_of_mmengine_and_to_tensorboard() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.py"), "x = 1\n").unwrap();
        let settings =
            settings(json!([{ "type": "LocalVisBackend" }, { "type": "TensorboardVisBackend" }]));
        let mut backends = VisBackends::open(&settings.unwrap(), folder.path(), "time").unwrap();
        let values = json!({ "loss": "NaN", "lr": 1e-5, "epoch": 1 });
        backends.scalars(values.as_object().unwrap(), 10).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let line = "{\"loss\": NaN, \"lr\": 1e-05, \"epoch\": 1, \"step\": 10}\n";
        assert_eq!((read("scalars.json"), read("time.json")), (line.to_owned(), line.to_owned()));
        let events = read_events(backends.tensorboard.unwrap().path()).unwrap();
        assert_eq!(events[1].values[0].value, Value::Text("x = 1\n".into()));
        let names: Vec<_> = events[2..].iter().map(|event| event.values[0].tag.as_str()).collect();
        assert_eq!(names, ["loss", "lr", "epoch"]);
        assert!(events[2..].iter().all(|event| event.step == 10));
    }
}
