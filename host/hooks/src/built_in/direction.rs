//! Whether more or less of a metric is better. Knows nothing of what is done with it.
//!
//! Source: MMEngine 0.10.7 `mmengine/hooks/checkpoint_hook.py` and `early_stopping_hook.py`, `_init_rule`.

use snaphook_plugin_api::prelude::*;

const GREATER: [&str; 10] =
    ["acc", "top", "ar@", "auc", "precision", "map", "mdice", "miou", "macc", "aacc"];
const LESS: [&str; 1] = ["loss"];

/// Words by which the direction of a metric is told, where no rule says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DirectionKeys {
    greater: Vec<String>,
    less: Vec<String>,
}

impl Default for DirectionKeys {
    fn default() -> DirectionKeys {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        DirectionKeys { greater: owned(&GREATER), less: owned(&LESS) }
    }
}

impl DirectionKeys {
    /// MMEngine's words, or those that a config gives: a text or a list of texts each.
    ///
    /// Errors: anything else.
    pub(super) fn read(
        greater: Option<&Json>,
        less: Option<&Json>,
    ) -> Result<DirectionKeys, HookError> {
        let default = DirectionKeys::default();
        Ok(DirectionKeys {
            greater: words("greater_keys", greater)?.unwrap_or(default.greater),
            less: words("less_keys", less)?.unwrap_or(default.less),
        })
    }

    /// Whether more of `metric` is better: as the rule says, else told from the name.
    ///
    /// Errors: an unknown rule, or a name that tells nothing; `key` is the argument that named the metric.
    pub(super) fn is_greater_better(
        &self,
        key: &str,
        metric: &str,
        rule: Option<&str>,
    ) -> Result<bool, HookError> {
        match rule {
            Some("greater") => return Ok(true),
            Some("less") => return Ok(false),
            Some(other) => {
                let text = format!("rule: expected \"greater\" or \"less\", found \"{other}\"");
                return Err(HookError::fatal(text));
            }
            None => {}
        }
        let name = metric.to_lowercase();
        let is_exact = |keys: &[String]| keys.contains(&name);
        let is_inside = |keys: &[String]| keys.iter().any(|key| name.contains(key.as_str()));
        for (is_found, is_greater) in [
            (is_exact(&self.greater), true),
            (is_exact(&self.less), false),
            (is_inside(&self.greater), true),
            (is_inside(&self.less), false),
        ] {
            if is_found {
                return Ok(is_greater);
            }
        }
        Err(HookError::fatal(format!(
            "{key}: whether more of \"{metric}\" is better is not known (say rule='greater' or rule='less')"
        )))
    }
}

fn words(key: &str, value: Option<&Json>) -> Result<Option<Vec<String>>, HookError> {
    let lower = |text: &str| text.to_lowercase();
    let found = match value {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(word)) => Some(vec![lower(word)]),
        Some(Json::Array(items)) => items.iter().map(|item| item.as_str().map(lower)).collect(),
        Some(_) => None,
    };
    found.map(Some).ok_or_else(|| {
        let found = value.unwrap_or(&Json::Null);
        HookError::fatal(format!("{key}: expected a text or a list of texts, found {found}"))
    })
}

/// The rule for the metric at this place of `save_best`.
pub(super) fn rule_for(rule: Option<&Json>, index: usize) -> Option<&str> {
    let rule = rule?;
    // One rule is for all metrics, also in a list.
    let one = rule.as_array().is_some_and(|rules| rules.len() == 1);
    let index = if one { 0 } else { index };
    rule.as_str().or_else(|| rule.get(index).and_then(Json::as_str))
}

/// `greater` or `less`, or a list of them.
pub(super) fn check_rules(rule: Option<&Json>) -> HookResult {
    let rules = match rule {
        None | Some(Json::Null) => return Ok(()),
        Some(Json::Array(rules)) => rules.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    match rules.iter().find(|rule| *rule != "greater" && *rule != "less") {
        None => Ok(()),
        Some(found) => Err(HookError::fatal(format!(
            "rule: expected \"greater\" or \"less\", or a list of them, found {found}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(metric: &str, rule: Option<&str>) -> Option<bool> {
        DirectionKeys::default().is_greater_better("monitor", metric, rule).ok()
    }

    #[test]
    fn the_direction_is_told_from_the_name() {
        assert_eq!(told("coco/bbox_mAP_50", None), Some(true));
        assert_eq!(told("val_loss", None), Some(false));
        assert_eq!(told("coco/bbox_mAP", Some("less")), Some(false));
        assert_eq!(told("speed", None), None);
        assert_eq!(told("loss", Some("more")), None);
    }

    #[test]
    fn words_of_the_config_replace_the_usual_ones() {
        let keys = DirectionKeys::read(Some(&json!("speed")), Some(&json!(["mAP"]))).unwrap();
        assert_eq!(keys.is_greater_better("save_best", "Speed", None).ok(), Some(true));
        assert_eq!(keys.is_greater_better("save_best", "coco/bbox_mAP", None).ok(), Some(false));
        assert!(keys.is_greater_better("save_best", "loss", None).is_err());
        assert!(DirectionKeys::read(Some(&json!(3)), None).is_err());
    }

    #[test]
    fn one_rule_in_a_list_is_for_all_metrics() {
        let (one, two) = (json!(["less"]), json!(["less", "greater"]));
        assert_eq!(
            (rule_for(Some(&one), 0), rule_for(Some(&one), 1)),
            (Some("less"), Some("less"))
        );
        assert_eq!(rule_for(Some(&two), 1), Some("greater"));
        assert_eq!(rule_for(Some(&json!("less")), 1), Some("less"));
        assert!(check_rules(Some(&json!(["more"]))).is_err());
    }
}
