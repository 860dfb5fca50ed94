//! MLflow's REST API, as much of it as a run needs. Knows nothing of hooks.

use serde_json::{Value as Json, json};
use snaphook_plugin_api_outbox::Deadline;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::Agent;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Most metrics and parameters of one request, by the API.
const METRICS: usize = 1000;
const PARAMETERS: usize = 100;

/// A server and how it is spoken to.
pub(crate) struct Server {
    url: String,
    agent: Agent,
    authorization: Option<String>,
    patience: Duration,
    /// When nothing is tried any more, once the run has ended.
    deadline: Arc<Deadline>,
}

impl Server {
    /// Credentials are those of the environment.
    pub(crate) fn new(url: &str, timeout: Duration, patience: Duration) -> Server {
        let config =
            Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false);
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let basic = variable("MLFLOW_TRACKING_USERNAME").map(|user| {
            let password = variable("MLFLOW_TRACKING_PASSWORD").unwrap_or_default();
            format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
        });
        let bearer = || variable("MLFLOW_TRACKING_TOKEN").map(|token| format!("Bearer {token}"));
        Server {
            url: format!("{}/api/2.0/mlflow", url.trim_end_matches('/')),
            agent: config.build().into(),
            authorization: basic.or_else(bearer),
            patience,
            deadline: Arc::default(),
        }
    }

    /// How long one request is tried, and when none is tried any more.
    pub(crate) fn limits(&self) -> (Duration, Arc<Deadline>) {
        (self.patience, Arc::clone(&self.deadline))
    }

    /// Calls a method until it answers.
    ///
    /// Errors: `(code, message)` of the server, with an empty code for anything else.
    fn call(&self, method: &str, body: &Json) -> Result<Json, (String, String)> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let why = match self.post(method, body) {
                Ok((true, _, answer)) => return Ok(answer),
                Ok((_, status, answer)) => {
                    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
                    if status < 500 && status != 429 {
                        let message = format!("{method}: {status} {}", text("message"));
                        return Err((text("error_code"), message));
                    }
                    format!("{method}: it answers {status}")
                }
                Err(error) => format!("{method}: {error}"),
            };
            if began.elapsed() + pause > self.patience || !self.deadline.rest(pause) {
                return Err((String::new(), why));
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether it went well, the status, and the answer.
    fn post(&self, method: &str, body: &Json) -> Result<(bool, u16, Json), ureq::Error> {
        let mut request = self.agent.post(format!("{}/{method}", self.url));
        request = request.header("Content-Type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut answer = request.send(body.to_string().as_bytes())?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string()?;
        Ok((status.is_success(), status.as_u16(), serde_json::from_str(&text).unwrap_or_default()))
    }

    fn get_experiment(&self, name: &str) -> Result<Option<String>, String> {
        // The search method takes a POST, as all others here do; the one by name does not.
        let filter = format!("name = '{}'", name.replace('\'', "\\'"));
        let body = json!({ "filter": filter, "max_results": 1 });
        let found = self.call("experiments/search", &body).map_err(|(_, message)| message)?;
        Ok(found["experiments"][0]["experiment_id"].as_str().map(str::to_owned))
    }
}

/// A server with the run that is written to.
pub(crate) struct Api {
    server: Server,
    run_id: Option<String>,
}

/// What a run is called on the server.
pub(crate) struct NewRun<'a> {
    pub(crate) experiment: &'a str,
    pub(crate) name: &'a str,
    pub(crate) at: u64,
    pub(crate) tags: &'a [(String, String)],
    /// What the hook calls it, as a tag: known before the server has answered.
    pub(crate) mark: &'a str,
    /// Whether a run of this mark may be there already.
    pub(crate) is_resumed: bool,
}

/// The tag that has the mark of a run.
const MARK: &str = "snaphook.run";

impl Api {
    pub(crate) fn new(server: Server) -> Api {
        Api { server, run_id: None }
    }

    /// See [`Server::limits`].
    pub(crate) fn limits(&self) -> (Duration, Arc<Deadline>) {
        self.server.limits()
    }

    pub(crate) fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// Goes on with a run of the server, if it is still there.
    ///
    /// Errors: `(code, message)` of the server, which has no such run; with an empty code it did not answer, and the run
    /// is taken to be there.
    pub(crate) fn go_on(&mut self, run_id: &str) -> Result<(), (String, String)> {
        let body = json!({ "run_id": run_id, "status": "RUNNING" });
        let told = self.server.call("runs/update", &body);
        if told.as_ref().err().is_none_or(|(code, _)| code.is_empty()) {
            self.run_id = Some(run_id.to_owned());
        }
        told.map(drop)
    }

    /// Makes a run, and its experiment where there is none of that name; or goes on with the one that has its mark. Whether it
    /// is an older one.
    pub(crate) fn begin(&mut self, run: &NewRun<'_>) -> Result<bool, String> {
        let experiment = match self.server.get_experiment(run.experiment)? {
            Some(experiment) => experiment,
            None => {
                let body = json!({ "name": run.experiment });
                match self.server.call("experiments/create", &body) {
                    Ok(made) => made["experiment_id"].as_str().unwrap_or_default().to_owned(),
                    // Another process was faster.
                    Err((code, message)) if code == "RESOURCE_ALREADY_EXISTS" => {
                        self.server.get_experiment(run.experiment)?.ok_or(message)?
                    }
                    Err((_, message)) => return Err(message),
                }
            }
        };
        if let Some(older) = self.marked(&experiment, run)? {
            self.go_on(&older).map_err(|(_, message)| message)?;
            return Ok(true);
        }
        let mut tags = pairs(run.tags);
        tags.push(json!({ "key": MARK, "value": run.mark }));
        let body = json!({
            "experiment_id": experiment, "run_name": run.name, "start_time": run.at, "tags": tags,
        });
        let made = self.server.call("runs/create", &body).map_err(|(_, message)| message)?;
        self.run_id = made["run"]["info"]["run_id"].as_str().map(str::to_owned);
        self.run_id.is_some().then_some(false).ok_or_else(|| "runs/create: no run_id".to_owned())
    }

    /// The run of an experiment that has the mark of a resumed one.
    fn marked(&self, experiment: &str, run: &NewRun<'_>) -> Result<Option<String>, String> {
        if !run.is_resumed {
            return Ok(None);
        }
        let filter = format!("tags.`{MARK}` = '{}'", run.mark);
        let body = json!({ "experiment_ids": [experiment], "filter": filter, "max_results": 1 });
        let found = self.server.call("runs/search", &body).map_err(|(_, message)| message)?;
        Ok(found["runs"][0]["info"]["run_id"].as_str().map(str::to_owned))
    }

    pub(crate) fn parameters(&self, parameters: &[(String, String)]) -> Result<(), String> {
        // A part that the server refuses takes the others nothing.
        let parts = parameters.chunks(PARAMETERS);
        let sent = parts.map(|part| self.log_batch(json!({ "params": pairs(part) })));
        sent.fold(Ok(()), Result::and)
    }

    pub(crate) fn metrics(
        &self,
        at: u64,
        step: u64,
        values: &[(String, f64)],
    ) -> Result<(), String> {
        let metric = |(name, value): &(String, f64)| json!({ "key": allowed(name), "value": number(*value), "timestamp": at, "step": step });
        for part in values.chunks(METRICS) {
            let metrics: Vec<Json> = part.iter().map(metric).collect();
            self.log_batch(json!({ "metrics": metrics }))?;
        }
        Ok(())
    }

    pub(crate) fn end(&self, state: &str, at: u64) -> Result<(), String> {
        let body = json!({ "run_id": self.run_id, "status": state, "end_time": at });
        self.server.call("runs/update", &body).map(drop).map_err(|(_, message)| message)
    }

    fn log_batch(&self, mut body: Json) -> Result<(), String> {
        body["run_id"] = json!(self.run_id);
        self.server.call("runs/log-batch", &body).map(drop).map_err(|(_, message)| message)
    }
}

fn pairs(pairs: &[(String, String)]) -> Vec<Json> {
    pairs.iter().map(|(key, value)| json!({ "key": allowed(key), "value": value })).collect()
}

/// A name with the letters that MLflow takes.
fn allowed(name: &str) -> String {
    let is_allowed = |c: char| c.is_alphanumeric() || "_-. :/".contains(c);
    name.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect()
}

/// Numbers that JSON does not know go as words, which the server's reader takes.
fn number(value: f64) -> Json {
    match value {
        value if value.is_finite() => json!(value),
        value if value.is_nan() => json!("NaN"),
        value if value > 0.0 => json!("Infinity"),
        _ => json!("-Infinity"),
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * index)) as usize & 63] as char;
            text.push(if index <= group.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_encoded_as_the_rfc_shows() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn names_and_numbers_are_those_that_the_server_takes() {
        assert_eq!(allowed("val/coco(bbox)=[1]"), "val/coco_bbox___1_");
        assert_eq!(number(f64::NEG_INFINITY), json!("-Infinity"));
    }
}
