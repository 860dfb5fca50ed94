//! `WebhookHook`: a URL hears of a run's start, of each new best, of a failure and of the end. Knows nothing of who listens.

mod outbox;
mod secrets;

use outbox::{Letter, Outbox};
use secrets::with_secrets;
use snaphook_plugin_api::prelude::*;
use snaphook_plugin_api::services::Interruption;
use std::time::Duration;

/// Posts JSON to a URL when a run starts, has a new best checkpoint, fails and ends.
///
/// The body has `event`, `text` (a sentence, which Slack and Mattermost show), `run`, `epoch`, `iter`, and with the event
/// `metric`, `value`, `checkpoint`, `error`, `status` (of an `end`: `finished`, or `interrupted` by a `signal`). It is sent in the background and tried again; what cannot be delivered is a
/// warning in the log, and never ends a run.
#[derive(Kwargs)]
pub struct WebhookHook {
    /// Where to post to. `${NAME}` in it stands for an environment variable, so that no secret is in the config.
    #[kwarg(required)]
    url: String,
    /// Further headers, such as `dict(Authorization='Bearer ${TOKEN}')`; environment variables as in `url`.
    #[kwarg]
    headers: Option<Json>,
    /// What is told: `start`, `best`, `failure`, `end`.
    #[kwarg(default = ["start", "best", "failure", "end"])]
    events: Vec<String>,
    /// How long a letter that does not arrive is sent again, in minutes; the end of the run waits so long at most and for the try that is on its way, and one that
    /// was asked for by a signal five seconds.
    #[kwarg(default = 2.0, min = 0.0)]
    retry_minutes: f64,
    /// How long one try may take, in seconds.
    #[kwarg(default = 10.0, min = 0.1)]
    timeout_s: f64,
    outbox: Option<Outbox>,
    has_started: bool,
    /// Whether it said itself that it cannot post.
    is_refused: bool,
}

const EVENTS: [&str; 4] = ["start", "best", "failure", "end"];

// The last of all, so that it knows how the run ended: what else can fail at the end comes before.
#[hook(priority = "LOWEST", cost_us = 2000)]
impl Hook for WebhookHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        let opened = self.open(runner);
        self.is_refused = opened.is_err();
        opened
    }

    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        self.start(runner, "training")
    }

    fn before_test(&mut self, runner: &mut Runner) -> HookResult {
        self.start(runner, "test")
    }

    fn after_save_checkpoint(
        &mut self,
        runner: &mut Runner,
        saved: &SavedCheckpoint,
    ) -> HookResult {
        let Some(metric) = saved.details["best"].as_str() else { return Ok(()) };
        let value = ["val/", ""]
            .iter()
            .find_map(|prefix| runner.messages().current(&format!("{prefix}{metric}")));
        let shown = value.map_or(String::new(), |value| format!(" = {value:.4}"));
        let text = format!("new best {metric}{shown} after epoch {}", saved.epoch);
        let more = json!({ "metric": metric, "value": value, "checkpoint": saved.path });
        self.tell(runner, "best", &text, more)
    }

    fn on_exception(&mut self, runner: &mut Runner, error: &RunError) -> HookResult {
        // A run may fail before it begins: at the first point of another hook, or when its data is not there.
        if self.outbox.is_none() && !self.is_refused {
            self.open(runner)?;
        }
        let more = json!({ "error": error.message, "kind": error.kind });
        self.tell(runner, "failure", &format!("failed: {}", error.message), more)?;
        self.close(runner)
    }

    fn after_run(&mut self, runner: &mut Runner) -> HookResult {
        let (text, more) = match interruption(runner)? {
            None => ("has ended".to_owned(), json!({ "status": "finished" })),
            Some(by) => {
                let text = format!("was interrupted by {}, and goes on with --resume", by.name);
                (text, json!({ "status": "interrupted", "signal": by.name }))
            }
        };
        self.tell(runner, "end", &text, more)?;
        self.close(runner)
    }
}

impl WebhookHook {
    /// Of several processes the first one posts.
    fn open(&mut self, runner: &mut Runner) -> HookResult {
        if let Some(wrong) = self.events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
            let known = EVENTS.join(", ");
            return Err(HookError::fatal(format!(
                "WebhookHook.events: expected some of {known}, found {wrong}"
            )));
        }
        if runner.distributed().rank() != 0 {
            return Ok(());
        }
        let url = with_secrets("url", &self.url).map_err(HookError::fatal)?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(HookError::fatal(format!(
                "WebhookHook.url: expected http:// or https://, found {}",
                self.url
            )));
        }
        let mut headers = Vec::new();
        for (name, value) in self.headers.iter().filter_map(Json::as_object).flatten() {
            let key = format!("headers.{name}");
            let value = value.as_str().ok_or_else(|| {
                HookError::fatal(format!("WebhookHook.{key}: expected a text, found {value}"))
            })?;
            headers.push((name.clone(), with_secrets(&key, value).map_err(HookError::fatal)?));
        }
        let (timeout, patience) = (seconds(self.timeout_s), seconds(self.retry_minutes * 60.0));
        // The written form has no secret in it, and is what the log may show.
        let letter = Letter { url, shown: self.url.clone(), headers, timeout, patience };
        self.outbox = Some(Outbox::open(letter)?);
        Ok(())
    }

    fn start(&mut self, runner: &mut Runner, what: &str) -> HookResult {
        if std::mem::replace(&mut self.has_started, true) {
            return Ok(());
        }
        let (epoch, max_epochs) = (runner.epoch(), runner.max_epochs());
        let text = match (what, epoch) {
            ("test", _) => "test starts".to_owned(),
            (_, 0) => format!("training starts, {max_epochs} epochs"),
            _ => format!("training goes on after epoch {epoch} of {max_epochs}"),
        };
        self.tell(runner, "start", &text, json!({ "max_epochs": max_epochs }))
    }

    fn tell(&mut self, runner: &mut Runner, event: &str, text: &str, more: Json) -> HookResult {
        let is_wanted = self.events.iter().any(|wanted| wanted == event);
        let Some(outbox) = self.outbox.as_ref().filter(|_| is_wanted) else { return Ok(()) };
        let (run, progress) = (runner.run().info()?, runner.progress());
        let mut body = json!({
            "event": event,
            "text": format!("{}: {text}", run.experiment_name),
            "run": {
                "name": run.experiment_name, "work_dir": run.work_dir, "device": run.device,
                "version": run.version,
            },
            "epoch": progress.epoch,
            "iter": progress.iter,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        outbox.send(&body);
        Ok(())
    }

    fn close(&mut self, runner: &mut Runner) -> HookResult {
        let Some(outbox) = self.outbox.take() else { return Ok(()) };
        if outbox.is_busy() {
            runner.info(&format!("Waiting until {} has heard of the end", self.url));
        }
        let asked = times_asked(runner);
        outbox.close(asked > 0, || times_asked(runner) > asked);
        Ok(())
    }
}

/// Who asked the run to end; nobody on a host that does not tell.
fn interruption(runner: &mut Runner) -> Result<Option<Interruption>, HookError> {
    match runner.control().interruption() {
        Err(ServiceError::Unsupported(_)) => Ok(None),
        answer => Ok(answer?),
    }
}

/// How often this process was asked to end.
fn times_asked(runner: &mut Runner) -> u64 {
    // A host that cannot tell is waited with to the end.
    runner.control().interruption().ok().flatten().map_or(0, |interruption| interruption.times)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

export_plugin!(WebhookHook);
