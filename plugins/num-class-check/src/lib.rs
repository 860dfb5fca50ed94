//! `NumClassCheckHook`: heads have as many classes as the data set. Knows nothing of how a head uses them.
//!
//! Source: `mmdet/engine/hooks/num_class_check_hook.py`, with its warning before each epoch. Where we differ: all modules
//! that are wrong stand in one error, which names their places and the split; words that run into each other there have
//! their space ("and check", "should be a tuple of str. Add comma"), and "does not matches" is "does not match".

use snaphook_plugin_api::prelude::*;
use snaphook_plugin_api::services::Module;

/// Checks before each epoch that `num_classes` of the heads is the number of the data set's classes.
#[derive(Kwargs)]
pub struct NumClassCheckHook;

#[hook(cost_us = 100)]
impl Hook for NumClassCheckHook {
    fn before_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        self.check(runner, "train")
    }

    fn before_val_epoch(&mut self, runner: &mut Runner) -> HookResult {
        self.check(runner, "val")
    }
}

impl NumClassCheckHook {
    fn check(&self, runner: &mut Runner, split: &'static str) -> HookResult {
        let dataset = dataset_name(runner, split)?;
        let classes = match runner.data().meta(split)?["classes"].take() {
            Json::Array(classes) => classes.len() as u64,
            Json::String(class) => {
                return Err(HookError::fatal(format!(
                    "`classes` in {dataset} should be a tuple of str. Add comma if number of classes is 1 as \
                     classes = ('{class}',)"
                )));
            }
            _ => {
                runner.warn(&format!(
                    "Please set `classes` in the {dataset} `metainfo` and check if it is consistent with the `num_classes` of \
                     head"
                ));
                return Ok(());
            }
        };
        let modules = runner.model().modules()?;
        let model = modules.first().map_or("the model", |model| &model.type_name);
        let wrong: Vec<String> = modules
            .iter()
            .filter(|module| is_checked(module))
            .filter_map(|module| Some((module, module.attributes["num_classes"].as_u64()?)))
            .filter(|(_, found)| *found != classes)
            .map(|(module, found)| {
                format!(
                    "The `num_classes` ({found}) in {} ({}) of {model} does not match the length of `classes` \
                     ({classes}) in {dataset} of the {split} data",
                    module.type_name, module.name
                )
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(HookError::fatal(wrong.join("; "))) }
    }
}

/// An RPN tells objects from background only, and these two have classes of something else.
fn is_checked(module: &Module) -> bool {
    let is_exempt = ["VGG", "SSDVGG", "FusedSemanticHead"].contains(&module.type_name.as_str());
    !module.name.ends_with("rpn_head") && !is_exempt
}

/// The `type` of a split's data set, as the config calls it.
fn dataset_name(runner: &mut Runner, split: &str) -> Result<String, HookError> {
    let config = runner.run().config()?;
    let loader = &config[format!("{split}_dataloader")];
    let loader = loader.get(0).unwrap_or(loader);
    Ok(loader["dataset"]["type"].as_str().unwrap_or("the data set").to_owned())
}

export_plugin!(NumClassCheckHook);

#[cfg(test)]
mod tests {
    use super::NumClassCheckHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;

    fn run(classes: Json, modules: Json) -> (FakeRunner, HookResult) {
        let config = json!({ "train_dataloader": { "dataset": { "type": "CocoDataset" } } });
        let mut run = FakeRunner::new()
            .config(config)
            .answer(ids::DATA, "meta", json!({ "classes": classes }))
            .answer(ids::MODEL, "modules", modules);
        let mut hook = NumClassCheckHook::from_kwargs("NumClassCheckHook", &json!({})).unwrap();
        let first = run.run_point(&mut hook, HookPoint::BeforeTrainEpoch, None);
        let again = run.run_point(&mut hook, HookPoint::BeforeTrainEpoch, None);
        assert_eq!(first, again);
        (run, first)
    }

    fn modules() -> Json {
        json!([
            { "name": "", "type_name": "FasterRCNN", "attributes": {} },
            { "name": "rpn_head", "type_name": "RPNHead", "attributes": { "num_classes": 1 } },
            { "name": "backbone", "type_name": "SSDVGG", "attributes": { "num_classes": 9 } },
            { "name": "roi_head.bbox_head", "type_name": "BBoxHead", "attributes": { "num_classes": 2 } },
        ])
    }

    #[test]
    fn heads_that_fit_pass_and_the_rpn_is_not_asked() {
        assert_eq!(run(json!(["a", "b"]), modules()).1, Ok(()));
    }

    #[test]
    fn a_head_of_another_number_is_named_with_its_place() {
        let error = run(json!(["a", "b", "c"]), modules()).1.unwrap_err();
        assert!(error.is_fatal());
        let expected = "The `num_classes` (2) in BBoxHead (roi_head.bbox_head) of FasterRCNN does not match the \
                        length of `classes` (3) in CocoDataset of the train data";
        assert_eq!(error.message, expected);
    }

    #[test]
    fn a_single_text_is_refused_with_the_missing_comma() {
        let error = run(json!("person"), modules()).1.unwrap_err();
        assert!(error.message.contains("classes = ('person',)"), "{}", error.message);
    }

    #[test]
    fn missing_classes_are_a_warning_before_each_epoch() {
        let (run, result) = run(Json::Null, modules());
        assert_eq!(result, Ok(()));
        let expected = "Please set `classes` in the CocoDataset `metainfo` and check if it is consistent with the \
                        `num_classes` of head";
        assert_eq!(run.logged(), [expected; 2]);
    }
}
