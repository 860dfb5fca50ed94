//! What stands in double braces: the file's own names, environment variables, values of the base.
//!
//! Knows nothing of any format's grammar.
//! Source: `_substitute_predefined_vars`, `_substitute_env_variables` and `_pre_substitute_base_vars`
//! in MMEngine's `mmengine/config/config.py`. Where we differ: a placeholder of the base may be a
//! part of a string, and may be quoted.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::error::Problem;
use crate::limits::MAX_FILE_BYTES;

/// `{{_base_.a.b}}` in a text: where, and the path without `_base_`.
#[derive(Debug, PartialEq)]
pub(crate) struct BaseReference {
    pub(crate) range: Range<usize>,
    pub(crate) path: Vec<Arc<str>>,
}

/// Replaces `{{ fileDirname }}` and its like, and `{{$NAME:default}}`, in a file's text.
///
/// Errors: the byte offset of a variable that is neither set nor has a default.
pub(crate) fn substitute(text: &str, file: &Path) -> Result<String, (usize, Problem)> {
    let mut result = String::with_capacity(text.len());
    let mut end = 0;
    for (range, inner) in braces(text) {
        let replacement = match predefined(inner.trim(), file) {
            Some(name) => name,
            None => match environment(inner).map_err(|problem| (range.start, problem))? {
                Some(value) => value,
                None => continue,
            },
        };
        result.push_str(&text[end..range.start]);
        result.push_str(&replacement);
        end = range.end;
        // A long value, many times over, must not fill the memory.
        if result.len() as u64 > MAX_FILE_BYTES {
            let what = "size of a file in bytes, placeholders replaced";
            return Err((range.start, Problem::Limit { what, limit: MAX_FILE_BYTES }));
        }
    }
    result.push_str(&text[end..]);
    Ok(result)
}

/// All placeholders of the base in a text, in order.
pub(crate) fn base_references(text: &str) -> Vec<BaseReference> {
    let path_of = |inner: &str| {
        let path = inner.trim().strip_prefix("_base_.")?;
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
        path.split('.').all(is_word).then(|| path.split('.').map(Arc::from).collect())
    };
    braces(text)
        .filter_map(|(range, inner)| Some(BaseReference { range, path: path_of(inner)? }))
        .collect()
}

/// Puts quotes around placeholders of the base that stand alone where a value is expected, so that
/// JSON, YAML and TOML can be read as such.
pub(crate) fn quote_base_references(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut end = 0;
    for BaseReference { range, .. } in base_references(text) {
        let before = text[..range.start].trim_end_matches([' ', '\t']).chars().next_back();
        let after = text[range.end..].trim_start_matches([' ', '\t']).chars().next();
        let is_bare = matches!(before, None | Some(':' | ',' | '[' | '=' | '-' | '\n'))
            && matches!(after, None | Some(',' | ']' | '}' | '\n' | '\r' | '#'));
        result.push_str(&text[end..range.start]);
        let quote = if is_bare { "\"" } else { "" };
        result.extend([quote, &text[range.clone()], quote]);
        end = range.end;
    }
    result.push_str(&text[end..]);
    result
}

/// Every shortest `{{…}}` on one line, with what is between the braces.
fn braces(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    // The end of a line is looked for once: a file may be one long line.
    let (mut from, mut line_end) = (0, 0);
    std::iter::from_fn(move || {
        loop {
            let mut start = from + text[from..].find("{{")?;
            if start >= line_end {
                line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
            }
            let Some(length) = text[start..line_end].find("}}") else {
                from = line_end;
                continue;
            };
            let end = start + length + 2;
            // Of `{{{{x}}` the innermost pair counts.
            start += text[start..end - 2].rfind("{{").unwrap_or(0);
            from = end;
            return Some((start..end, &text[start + 2..end - 2]));
        }
    })
}

fn predefined(name: &str, file: &Path) -> Option<String> {
    let part = match name {
        "fileDirname" => file.parent()?.as_os_str(),
        "fileBasename" => file.file_name()?,
        "fileBasenameNoExtension" => file.file_stem()?,
        "fileExtname" => {
            return Some(file.extension().map_or(String::new(), |e| format!(".{}", e.display())));
        }
        _ => return None,
    };
    Some(part.to_string_lossy().replace('\\', "/"))
}

/// The value of `$NAME:default`, perhaps in quotes; nothing if it is something else.
fn environment(inner: &str) -> Result<Option<String>, Problem> {
    let inner = inner.strip_prefix(['\'', '"']).unwrap_or(inner);
    let inner = inner.strip_suffix(['\'', '"']).unwrap_or(inner);
    let Some((name, default)) = inner.trim().strip_prefix('$').and_then(|v| v.split_once(':'))
    else {
        return Ok(None);
    };
    let (name, default) = (name.trim_end(), default.trim());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_name || default.contains(char::is_whitespace) {
        return Ok(None);
    }
    let value = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    if value.is_empty() {
        return Err(Problem::Environment(name.to_owned()));
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substituted(text: &str) -> String {
        substitute(text, Path::new("/configs/tiny.v2.py")).unwrap()
    }

    #[test]
    fn the_files_own_names_are_replaced() {
        assert_eq!(substituted("a='{{ fileDirname }}/x'"), "a='/configs/x'");
        assert_eq!(substituted("{{fileBasename}} {{fileExtname}}"), "tiny.v2.py .py");
        assert_eq!(substituted("{{ fileBasenameNoExtension }}"), "tiny.v2");
        assert_eq!(substituted("{{ other }} {{{{ fileExtname }}"), "{{ other }} {{.py");
    }

    #[test]
    fn many_placeholders_on_one_line_take_no_more_than_their_length() {
        let text = "{{fileBasename}}".repeat(100_000);
        assert_eq!(substituted(&text).len(), 10 * 100_000);
        let (_, problem) = substitute(&text, Path::new("/a/a_long_name_of_a_file.py")).unwrap_err();
        assert!(problem.to_string().starts_with("size of a file in bytes, placeholders replaced"));
    }

    #[test]
    fn unset_variables_take_their_default() {
        assert_eq!(substituted("{{$SNAPHOOK_UNSET:/data}}/x"), "/data/x");
        assert_eq!(substituted("n={{'$SNAPHOOK_UNSET:80'}}"), "n=80");
        assert_eq!(substituted("{{$SNAPHOOK_UNSET:a b}}"), "{{$SNAPHOOK_UNSET:a b}}");
    }

    #[test]
    fn a_variable_without_value_and_default_is_an_error() {
        let error = substitute("x='{{$SNAPHOOK_UNSET:}}'", Path::new("a.py")).unwrap_err();
        assert_eq!(error, (3, Problem::Environment("SNAPHOOK_UNSET".into())));
        assert!(error.1.to_string().ends_with("(set it, or write {{$SNAPHOOK_UNSET:default}})"));
    }

    #[test]
    fn bare_placeholders_of_the_base_get_quotes() {
        let quoted = |text| quote_base_references(text);
        assert_eq!(quoted("{\"a\": {{_base_.x.y}}}"), "{\"a\": \"{{_base_.x.y}}\"}");
        assert_eq!(
            quoted("a: {{ _base_.x }}\n- {{_base_.y}}"),
            "a: \"{{ _base_.x }}\"\n- \"{{_base_.y}}\""
        );
        assert_eq!(
            quoted("a: '{{_base_.x}}'\nb: c/{{_base_.x}}"),
            "a: '{{_base_.x}}'\nb: c/{{_base_.x}}"
        );
    }
}
