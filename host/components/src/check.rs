//! Walks through a component's dict and all components below it. Knows nothing of single components.

use serde_json::Value as Json;

use crate::read::{join, shown, type_name, unknown_type};
use crate::{Catalog, Declared, Problem, ProblemKind, Role};

pub(crate) fn check(
    catalog: &Catalog,
    role: Role,
    value: &Json,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    if catalog.of_role(role).next().is_none() {
        return;
    }
    let name = match type_name(role, value, path) {
        Ok(name) => name,
        Err(error) => return problems.extend(error.problems),
    };
    match catalog.find(role, name) {
        Some(declared) => check_declared(catalog, declared, value, path, problems),
        None => {
            let found = value.get("type").cloned().unwrap_or_else(|| name.into());
            problems.push(unknown_type(role, &found, path, &catalog.names(role)));
        }
    }
}

pub(crate) fn check_declared(
    catalog: &Catalog,
    declared: &Declared,
    value: &Json,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let Some(map) = value.as_object() else {
        let message = format!("expected a dict, found {}", shown(value));
        return problems.push(Problem::new(path, ProblemKind::Value, message));
    };
    problems.extend(declared.problems(map, path));
    for (key, value) in map {
        check_below(
            catalog,
            &declared.schema["properties"][key],
            value,
            &join(path, key),
            problems,
        );
    }
}

/// Looks into an argument as far as its schema says that there is a component.
fn check_below(
    catalog: &Catalog,
    schema: &Json,
    value: &Json,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    match value {
        Json::Object(_) => {
            if let Some(role) = schema["x-component"].as_str().and_then(Role::of_name) {
                check(catalog, role, value, path, problems);
            } else if let Some(name) = schema["x-settings"].as_str()
                && let Some(declared) = catalog.find(Role::Settings, name)
            {
                check_declared(catalog, declared, value, path, problems);
            }
            let any = schema["anyOf"].as_array().into_iter().flatten();
            any.for_each(|schema| check_below(catalog, schema, value, path, problems));
        }
        Json::Array(items) => {
            let any = schema["anyOf"].as_array().into_iter().flatten();
            for items_schema in any.chain([schema]).map(|schema| &schema["items"]) {
                for (index, item) in items.iter().enumerate().filter(|_| items_schema.is_object()) {
                    let path = join(path, &index.to_string());
                    check_below(catalog, items_schema, item, &path, problems);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(role: Role, value: Json) -> Vec<String> {
        Catalog::built_in().check(role, &value, "x").iter().map(Problem::to_string).collect()
    }

    #[test]
    fn nested_components_are_looked_into_with_their_paths() {
        let dataset = json!({"type": "RepeatDataset", "times": 2, "dataset": {
            "type": "CocoDataset", "ann_file": "a.json", "filter_cfg": {"min_siz": 3},
            "pipeline": [{"type": "LoadImageFromFile"}, {"type": "Resise", "scale": [1, 1]}]}});
        assert_eq!(
            problems(Role::Dataset, dataset),
            [
                "x.dataset.filter_cfg.min_siz: unknown key (did you mean `min_size`?)",
                "x.dataset.pipeline.1.type: \"Resise\" is no transform (did you mean `Resize`?)",
            ]
        );
    }

    #[test]
    fn a_type_of_mmdetection_is_told_apart_from_a_misspelt_one() {
        let found = problems(Role::Backbone, json!({"type": "mmdet.SwinTransformer"}));
        assert!(
            found[0].starts_with("x.type: SwinTransformer is a backbone of MMDetection that this")
        );
        let found = problems(Role::Backbone, json!({"type": "Zzz"}));
        assert!(found[0].starts_with("x.type: \"Zzz\" is no backbone (it has "), "{found:?}");
    }

    #[test]
    fn metainfo_takes_any_key_but_a_misspelt_one() {
        let with = |key: &str| {
            let mut metainfo = json!({"classes": ["a"]});
            metainfo[key] = json!(1);
            problems(
                Role::Dataset,
                json!({"type": "CocoDataset", "ann_file": "a", "metainfo": metainfo}),
            )
        };
        assert!(with("licence").is_empty());
        assert_eq!(with("CLASES"), ["x.metainfo.CLASES: unknown key (did you mean `classes`?)"]);
    }

    #[test]
    fn what_is_no_component_is_named() {
        assert_eq!(problems(Role::Transform, json!(3)), ["x: expected a dict, found 3"]);
        let found = problems(Role::Transform, json!({"scale": 3}));
        assert_eq!(found, ["x.type: expected the name of a transform, found nothing"]);
    }
}
