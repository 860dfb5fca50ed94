//! What is different from the run that saved a checkpoint, in sentences. Knows nothing of tensors: edits of the optimizer and of
//! schedules are found where those are loaded.

use serde_json::Value as Json;

/// Settings of a step that no state tells.
const OF_A_STEP: [&str; 7] =
    ["type", "accumulative_counts", "clip_grad", "loss_scale", "dtype", "use_fp16", "constructor"];

/// Settings that change what a resumed run computes, and that nothing else would tell: those of the optimizer's wrapper, and of
/// averaged weights.
pub(super) fn of_settings(saved: &Json, now: &Json) -> Vec<String> {
    if saved["optim_wrapper"].is_null() {
        // An imported checkpoint has no config that could be compared.
        return Vec::new();
    }
    let wrapper = |name: &&str| {
        let (was, is) = (&saved["optim_wrapper"][name], &now["optim_wrapper"][name]);
        change(&format!("optim_wrapper.{name}"), was, is)
    };
    let of_wrapper = OF_A_STEP.iter().filter_map(wrapper);
    let of_averages = change("EMAHook", &averaging(saved), &averaging(now));
    let (was, is) = (&saved["train_dataloader"], &now["train_dataloader"]);
    let of_order = ["sampler", "batch_sampler", "drop_last"]
        .into_iter()
        .filter_map(|part| change(&format!("train_dataloader.{part}"), &was[part], &is[part]));
    let is_augmented_anew = pipelines(&was["dataset"]) != pipelines(&is["dataset"]);
    // Too long to be shown.
    let of_pipeline = is_augmented_anew.then(|| "the training pipeline is another".to_owned());
    of_wrapper.chain(of_averages).chain(of_order).chain(of_pipeline).collect()
}

/// `key was 1, is now 2`.
fn change(key: &str, was: &Json, is: &Json) -> Option<String> {
    let text =
        |value: &Json| if value.is_null() { "not given".to_owned() } else { value.to_string() };
    (was != is).then(|| format!("{key} was {}, is now {}", text(was), text(is)))
}

/// The pipelines of a data set and of those within it.
fn pipelines(dataset: &Json) -> Vec<&Json> {
    let inner = dataset["datasets"].as_array().into_iter().flatten();
    let all = dataset.get("dataset").into_iter().chain(inner);
    dataset.get("pipeline").into_iter().chain(all.flat_map(pipelines)).collect()
}

/// The arguments of the hook that averages weights.
fn averaging(config: &Json) -> Json {
    let custom = config["custom_hooks"].as_array().into_iter().flatten();
    let mut hooks =
        custom.chain(config["default_hooks"].as_object().into_iter().flat_map(|map| map.values()));
    let is_it = |hook: &&Json| {
        hook["type"].as_str().is_some_and(|name| snaphook_hooks::plain_type(name) == "EMAHook")
    };
    hooks.find(is_it).cloned().unwrap_or_default()
}

/// What differs between the plugins of a checkpoint and those of this run, a sentence each.
pub(super) fn of_plugins(saved: &Json, now: &[Json]) -> Vec<String> {
    let saved = saved.as_array().map_or(&[][..], Vec::as_slice);
    let text = |plugin: &Json, key: &str| plugin[key].as_str().unwrap_or("?").to_owned();
    let version = |plugin: &Json| {
        let hash: String = text(plugin, "sha256").chars().take(12).collect();
        format!("version {} (SHA-256 {hash})", text(plugin, "version"))
    };
    let changed = |plugin: &Json| {
        let old = saved
            .iter()
            .find(|old| old["name"] == plugin["name"] && old["type"] == plugin["type"])?;
        let is_same = old["sha256"] == plugin["sha256"];
        (!is_same).then(|| {
            format!(
                "Plugin {} is another one than when the checkpoint was saved: {} then, {} now ({})",
                text(plugin, "name"),
                version(old),
                version(plugin),
                text(plugin, "path")
            )
        })
    };
    now.iter().filter_map(changed).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn edits_of_a_step_and_of_averages_are_told() {
        let config = |counts: u32, momentum: f64| {
            json!({
                "optim_wrapper": { "type": "OptimWrapper", "accumulative_counts": counts, "optimizer": { "lr": momentum } },
                "custom_hooks": [{ "type": "OtherHook" }, { "type": "EMAHook", "momentum": momentum }],
            })
        };
        assert!(of_settings(&config(4, 0.1), &config(4, 0.1)).is_empty());
        assert!(of_settings(&Json::Null, &config(4, 0.1)).is_empty());
        let found = of_settings(&config(4, 0.1), &config(1, 0.2));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], "optim_wrapper.accumulative_counts was 4, is now 1");
        assert!(found[1].starts_with("EMAHook was {"), "{found:?}");
        let mut none = config(4, 0.1);
        none["custom_hooks"] = json!([]);
        let found = of_settings(&none, &config(4, 0.1));
        assert!(found[0].starts_with("EMAHook was not given, is now {"), "{found:?}");
    }
}
