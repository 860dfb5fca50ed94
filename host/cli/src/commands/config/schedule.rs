//! `snaphook config schedule`: learning rates and momenta of a run, before it. Links no libtorch, builds no model.

use crate::args::{ConfigScheduleArguments, ScheduleFormat};
use crate::schedule::{Table, as_csv, as_json, as_svg, as_text};
use crate::{CliError, Exit, load_with_warnings, output};

pub(crate) fn schedule(arguments: &ConfigScheduleArguments) -> Result<Exit, CliError> {
    let config = load_with_warnings(&arguments.config, &arguments.load)?;
    let table = Table::of(&config, arguments.iters_per_epoch)?;
    let name = config.stem();
    if let Some(path) = &arguments.plot {
        std::fs::write(path, as_svg(name, &table)).map_err(|error| CliError::File {
            path: path.clone(),
            message: format!("cannot be written: {error}"),
        })?;
    }
    match arguments.format {
        Some(ScheduleFormat::Json) => output::print(&as_json(&table))?,
        Some(ScheduleFormat::Csv) => output::print(&as_csv(&table))?,
        None if arguments.plot.is_none() => output::print(&as_text(name, &table))?,
        None => {}
    }
    if table.follows_a_metric && arguments.format.is_some() {
        crate::report::print_warning(
            "a schedule follows a metric of the validation: values are as if that became better and better",
        );
    }
    Ok(Exit::Done)
}
