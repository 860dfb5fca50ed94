//! `snaphook config check`: everything that can be found out about a config without training.

use crate::args::{ConfigCheckArguments, Format};
use crate::check::{CheckOptions, Finding, Severity, as_json, as_text, check, finding_of};
use crate::loading::resolver;
use crate::plugins::Plugins;
use crate::{CliError, Exit, output};

pub(in crate::commands) fn check_config(
    arguments: &ConfigCheckArguments,
) -> Result<Exit, CliError> {
    let (path, overrides) = (&arguments.config, arguments.load.overrides());
    let findings = findings(arguments)?;
    let text = match arguments.format {
        Format::Text => as_text(path, &findings, &overrides),
        Format::Json => format!("{:#}\n", as_json(path, &findings)),
    };
    output::print(&text)?;
    let has_errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if has_errors { Exit::Input } else { Exit::Done })
}

fn findings(arguments: &ConfigCheckArguments) -> Result<Vec<Finding>, CliError> {
    let resolver = resolver(&arguments.load);
    let config = match resolver.load(&arguments.config) {
        Ok(config) => config,
        Err(error) => return Ok(vec![finding_of(&error)]),
    };
    let plugins = Plugins::find(&arguments.plugins, Some(&config))?;
    let options = CheckOptions { opens_data: !arguments.no_data };
    let mut findings = check(&config, &plugins, options);
    findings.extend(resolver.lost(&arguments.config)?.into_iter().filter_map(Finding::lost));
    Ok(findings)
}
