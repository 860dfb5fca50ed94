//! `filename_tmpl`: the names of checkpoints as Python's `str.format` makes them. Knows nothing of checkpoints.

use snaphook_plugin_api::prelude::*;

/// The name for a number: `snapshot_{:04d}.pth` and 7 make `snapshot_0007`. Our checkpoints are folders, so that an
/// ending `.pth` is left out.
///
/// Errors: a template without one place for the number, a format that is none of a whole number, a name that leads out
/// of the folder.
pub(super) fn filled(template: &str, number: u64) -> Result<String, HookError> {
    let wrong = || {
        HookError::fatal(format!(
            "filename_tmpl: expected a file's name with one {{}} for the number, such as \
             'snapshot_{{:04d}}.pth', found '{template}'"
        ))
    };
    let (before, rest) = template.split_once('{').ok_or_else(wrong)?;
    let (format, after) = rest.split_once('}').ok_or_else(wrong)?;
    let digits = match format.strip_prefix(':').unwrap_or(format) {
        "" | "d" => 0,
        zeros => {
            let width = zeros.strip_suffix('d').unwrap_or(zeros).strip_prefix('0');
            width.and_then(|width| width.parse::<usize>().ok()).ok_or_else(wrong)?
        }
    };
    let after = after.strip_suffix(".pth").unwrap_or(after);
    let name = format!("{before}{number:0digits$}{after}");
    let is_plain = !name.starts_with('.') && !name.contains(['/', '\\', '{', '}', '\0']);
    if is_plain && digits <= 20 { Ok(name) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn names_are_those_of_python() {
        for (template, name) in [
            ("epoch_{}.pth", "epoch_7"),
            ("snapshot_{:04d}.pth", "snapshot_0007"),
            ("{:03}-a", "007-a"),
            ("{:d}", "7"),
        ] {
            assert_eq!(filled(template, 7).unwrap(), name);
        }
        for template in ["epoch.pth", "a/{}.pth", "{}{}", "{:>4}", "{name}", ".{}", "{:0999d}"] {
            assert!(filled(template, 7).is_err(), "{template}");
        }
    }
}
