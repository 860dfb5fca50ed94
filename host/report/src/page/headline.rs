//! What a person wants to see first: how the run stands, how good it is, and what to look at.
//! Knows nothing of charts and tables below.

use super::chart::sparkline;
use super::curves::short;
use super::text::{count, duration, escape, number, rate};
use super::time;
use crate::{Kind, RunData, RunRecord, Status, is_greater_better};

/// Name, status, where and when.
pub(super) fn header(run: &RunData) -> String {
    let pill = match run.status() {
        Some(status) => {
            format!("<span class=\"pill {0}\">{0}</span>", status.name())
        }
        None => String::new(),
    };
    let title =
        run.record.as_ref().map_or_else(|| run.folder.title(), |run| run.experiment.clone());
    let mut facts = Vec::new();
    if let Some(record) = &run.record {
        facts.push(match record.kind {
            Kind::Train => "training".to_owned(),
            Kind::Test => "test".to_owned(),
        });
        facts.push(format!("began {}", moment(&record.started)));
        facts.push(record.config.display().to_string());
        facts.push(format!("{} on {}", record.environment.device, record.environment.host));
    } else {
        facts.push(run.folder.path.display().to_string());
    }
    let facts: String = facts.iter().map(|fact| format!("<span>{}</span>", escape(fact))).collect();
    format!(
        "<header><div class=\"title\"><h1>{}</h1>{pill}</div><p class=\"sub\">{facts}</p></header>\n",
        escape(&title)
    )
}

/// A time without its zone, for people who were there.
fn moment(time: &str) -> String {
    time.chars().take(19).collect::<String>().replace('T', " ")
}

struct Tile {
    name: String,
    value: String,
    more: String,
    picture: String,
}

impl Tile {
    fn html(&self) -> String {
        format!(
            "<div class=\"card tile\"><div class=\"name\">{}</div><div class=\"value\">{}</div>\
             <div class=\"more\">{}</div>{}</div>",
            escape(&self.name),
            self.value,
            escape(&self.more),
            self.picture
        )
    }
}

/// The numbers that matter most, large.
pub(super) fn tiles(run: &RunData) -> String {
    let mut tiles = Vec::new();
    tiles.extend(metric_tile(run));
    tiles.extend(loss_tile(run));
    if let Some(record) = &run.record {
        tiles.extend(progress_tile(record));
        tiles.push(time_tile(record));
    }
    if tiles.is_empty() {
        return String::new();
    }
    format!("<div class=\"tiles\">{}</div>\n", tiles.iter().map(Tile::html).collect::<String>())
}

fn metric_tile(run: &RunData) -> Option<Tile> {
    if let Some((metric, best)) = run.main_metric().zip(run.best()) {
        let last = metric.last()?;
        let is_last = last.iter == best.iter;
        let place = best.place();
        let more = match is_last {
            true => format!("at {place}, the last validation"),
            false => format!("at {place}; last {}", number(last.value)),
        };
        return Some(Tile {
            name: format!("best {}", metric.name),
            value: number(best.value),
            more,
            picture: sparkline(&metric.points, 0),
        });
    }
    let (name, value) = run.test.first()?;
    Some(Tile {
        name: name.clone(),
        value: number(*value),
        more: "measured in this test".to_owned(),
        picture: String::new(),
    })
}

fn loss_tile(run: &RunData) -> Option<Tile> {
    let curves = &run.scalars.train;
    let loss = run.scalars.training("loss");
    let loss = loss.or_else(|| curves.iter().find(|curve| curve.name.contains("loss")))?;
    let last = loss.points.last()?;
    let first = loss.points.iter().find(|point| point.value.is_finite())?;
    Some(Tile {
        name: format!("last {}", short(&loss.name)),
        value: number(last.value),
        more: format!("from {} at iteration {}", number(first.value), count(first.iter)),
        picture: sparkline(&loss.points, 1),
    })
}

fn progress_tile(record: &RunRecord) -> Option<Tile> {
    let position = &record.position;
    if position.max_iters == 0 {
        return None;
    }
    let share = position.iter as f64 / position.max_iters as f64;
    let (value, name) = if position.max_epochs > 1 {
        (format!("{}<small> / {}</small>", position.epoch, position.max_epochs), "epochs")
    } else {
        let of = count(position.max_iters);
        (format!("{}<small> / {of}</small>", count(position.iter)), "iterations")
    };
    let iterations = format!("iteration {} of {}", count(position.iter), count(position.max_iters));
    let resumed = if record.resumed_from.is_some() { ", resumed" } else { "" };
    Some(Tile {
        name: name.to_owned(),
        value,
        more: format!("{iterations}{resumed}"),
        picture: format!(
            "<div class=\"meter\"><i style=\"width:{:.1}%\"></i></div>",
            100.0 * share
        ),
    })
}

fn time_tile(record: &RunRecord) -> Tile {
    let more = record.iterations_per_second().map_or_else(String::new, rate);
    let left = remaining(record).map(|left| format!(", about {} left", duration(left)));
    Tile {
        name: "time".to_owned(),
        value: duration(record.seconds),
        more: format!("{more}{}", left.unwrap_or_default()),
        picture: format!("<div class=\"thin\">{}</div>", time::bar(record)),
    }
}

/// Seconds that are left of a run that goes on.
fn remaining(record: &RunRecord) -> Option<f64> {
    let position = &record.position;
    let left = position.max_iters.saturating_sub(position.iter) as f64;
    let is_running = record.status_now() == Status::Running && position.iters_here > 0;
    (is_running && left > 0.0).then(|| record.seconds / position.iters_here as f64 * left)
}

struct Note {
    class: &'static str,
    text: String,
}

/// What stands out: failures, numbers that are none, a metric that falls, time that is lost.
pub(super) fn notes(run: &RunData) -> String {
    let mut notes = Vec::new();
    notes.extend(ending(run));
    notes.extend(not_a_number(run));
    notes.extend(trend(run));
    notes.extend(lost_time(run));
    if notes.is_empty() {
        return String::new();
    }
    let note = |note: &Note| format!("<li class=\"{}\">{}</li>", note.class, escape(&note.text));
    format!("<ul class=\"notes\">{}</ul>\n", notes.iter().map(note).collect::<String>())
}

fn ending(run: &RunData) -> Option<Note> {
    let record = run.record.as_ref()?;
    let reason = record.reason.clone().unwrap_or_default();
    let note = |class, text| Some(Note { class, text });
    match record.status_now() {
        Status::Failed => note("bad", format!("The run failed: {reason}")),
        Status::Interrupted if record.status == Status::Interrupted => {
            let way_out = "snaphook train … --resume goes on from there";
            note("warn", format!("The run was interrupted: {reason} ({way_out})."))
        }
        Status::Interrupted => note(
            "bad",
            "The process is gone without a word: it was killed, or the machine went down. \
             snaphook train … --resume goes on from the last checkpoint."
                .to_owned(),
        ),
        Status::Stopped => note("warn", format!("The run was stopped: {reason}")),
        Status::Running | Status::Done => None,
    }
}

fn not_a_number(run: &RunData) -> Option<Note> {
    let curves = run.scalars.train.iter().filter(|curve| curve.name.contains("loss"));
    let first = curves.filter_map(|curve| {
        let point = curve.points.iter().find(|point| !point.value.is_finite())?;
        Some((point.iter, &curve.name))
    });
    let (iter, name) = first.min()?;
    let text = format!("{name} is not a number at iteration {}", count(iter));
    Some(Note { class: "bad", text })
}

fn trend(run: &RunData) -> Option<Note> {
    let metric = run.main_metric()?;
    let (best, last) = (run.best()?, metric.last()?);
    let validations = metric.points.iter().filter(|point| point.value.is_finite()).count();
    if validations < 4 {
        return None;
    }
    let name = short(&metric.name);
    let since = metric.points.iter().filter(|point| point.iter > best.iter).count();
    let is_over = run.status() != Some(Status::Running);
    if since == 0 && is_over {
        let text =
            format!("{name} was best at the very end: a longer training may be better still.");
        return Some(Note { class: "good", text });
    }
    let change = if is_greater_better(&metric.name) {
        best.value - last.value
    } else {
        last.value - best.value
    };
    let is_worse = change > 0.05 * best.value.abs();
    (since >= 3 && is_worse).then(|| Note {
        class: "warn",
        text: format!(
            "{name} has fallen back for {since} validations: {} at its best, {} now.",
            number(best.value),
            number(last.value)
        ),
    })
}

fn lost_time(run: &RunData) -> Option<Note> {
    let record = run.record.as_ref()?;
    let seconds = |name: &str| {
        let phase = record.phases.iter().find(|phase| phase.name == name);
        phase.map_or(0.0, |phase| phase.seconds)
    };
    let step = seconds("data") + seconds("forward") + seconds("backward") + seconds("optimizer");
    let share = 100.0 * seconds("data") / step.max(1e-9);
    if share > 20.0 && step > 5.0 {
        let text = format!(
            "{share:.0} % of the training time was spent waiting for data: more num_workers, or a smaller pipeline, would help."
        );
        return Some(Note { class: "warn", text });
    }
    let dearest = record.hooks.first()?;
    let share = 100.0 * dearest.seconds / record.seconds.max(1e-9);
    (share > 10.0 && record.seconds > 5.0).then(|| Note {
        class: "warn",
        text: format!("{} took {share:.0} % of the run.", dearest.name),
    })
}
