//! Every iteration as JSON and CSV. Knows nothing of how the values came about.

use std::fmt::Write;

use super::Table;
use super::table::Columns;

/// A list of `{"iter", "epoch", "lr": […], "momentum": […]}`, an iteration a line.
pub(crate) fn as_json(table: &Table) -> String {
    let mut text = String::from("[\n");
    for iteration in 0..table.iterations() {
        let end = if iteration + 1 == table.iterations() { "\n" } else { ",\n" };
        let list = |columns: &Columns| at(columns, iteration).collect::<Vec<_>>().join(", ");
        let (rates, momenta) = (list(&table.learning_rates), list(&table.momenta));
        let epoch = table.epoch(iteration);
        push(
            &mut text,
            format_args!(
                "{{\"iter\": {iteration}, \"epoch\": {epoch}, \"lr\": [{rates}], \"momentum\": [{momenta}]}}{end}"
            ),
        );
    }
    text.push_str("]\n");
    text
}

/// `iter,epoch,lr,momentum`; with several groups `lr_0,lr_1,…,momentum_0,…`.
pub(crate) fn as_csv(table: &Table) -> String {
    let groups = table.learning_rates.len();
    let names = |name: &str| match groups {
        1 => name.to_owned(),
        _ => (0..groups).map(|group| format!("{name}_{group}")).collect::<Vec<_>>().join(","),
    };
    let mut text = format!("iter,epoch,{},{}\n", names("lr"), names("momentum"));
    for iteration in 0..table.iterations() {
        push(&mut text, format_args!("{iteration},{}", table.epoch(iteration)));
        let values = at(&table.learning_rates, iteration).chain(at(&table.momenta, iteration));
        values.for_each(|value| push(&mut text, format_args!(",{value}")));
        text.push('\n');
    }
    text
}

fn at(columns: &Columns, iteration: u64) -> impl Iterator<Item = String> {
    columns.iter().map(move |column| number(column[iteration as usize]))
}

/// The shortest digits that read back to the same number; JSON has no others than finite ones.
fn number(value: f64) -> String {
    serde_json::Value::from(value).to_string()
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(arguments);
}
