//! Environment variables in texts of a config. Knows nothing of what they are for.

/// The text with the values of the environment variables that it names as `${NAME}`.
///
/// Errors: a variable that is not set, a brace that is not closed; the value of none is told.
pub(crate) fn with_secrets(key: &str, text: &str) -> Result<String, String> {
    replace(key, text, |name| std::env::var(name).ok())
}

fn replace(
    key: &str,
    text: &str,
    value: impl Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let mut parts = text.split("${");
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or_else(|| {
            format!("WebhookHook.{key}: expected ${{NAME}}, found no closing brace")
        })?;
        let value = value(name).ok_or_else(|| {
            format!("WebhookHook.{key}: expected the environment variable {name}, found none")
        })?;
        replaced += &value;
        replaced += rest;
    }
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn variables_are_replaced_and_missing_ones_are_named() {
        let value = |name: &str| (name == "KEY").then(|| "5a".to_owned());
        assert_eq!(
            replace("url", "https://x/${KEY}/y/${KEY}", value),
            Ok("https://x/5a/y/5a".into())
        );
        assert_eq!(replace("url", "plain $KEY", value), Ok("plain $KEY".into()));
        assert!(replace("url", "${OTHER}", value).unwrap_err().contains("variable OTHER"));
        assert!(replace("url", "${KEY", value).unwrap_err().contains("closing brace"));
    }
}
