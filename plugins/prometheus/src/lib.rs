//! `PrometheusHook`: a page `/metrics` on this machine that Prometheus scrapes. Knows nothing of who reads it.
//!
//! Source: the text format of <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

mod exposition;
mod server;

use exposition::{Family, Page, Sample};
use server::Server;
use snaphook_plugin_api::prelude::*;
use std::time::{SystemTime, UNIX_EPOCH};

/// Serves counters, losses, learning rate and metrics of the run at `http://127.0.0.1:<port>/metrics`.
///
/// Only programs of this machine can reach it. Each process of a job has a port of its own: the number and its rank.
#[derive(Kwargs)]
pub struct PrometheusHook {
    /// The port of the first process; 0 takes one that is free, which the log tells.
    #[kwarg(default = 9400, max = 65535)]
    port: u64,
    /// Read losses every this many training iterations; each reading waits for the device.
    #[kwarg(default = 10, min = 1)]
    interval: u64,
    server: Option<Server>,
    page: Page,
}

#[hook(cost_us = 5000)]
impl Hook for PrometheusHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        let rank = runner.distributed().rank();
        let port = if self.port == 0 { 0 } else { self.port + rank };
        let Ok(port) = u16::try_from(port) else {
            return Err(HookError::fatal(format!("port: expected at most 65535, found {port}")));
        };
        // One that a run before this one has left open would keep the port.
        self.server = None;
        let server = Server::start(port).map_err(|error| {
            format!("port {port}: {error} (choose another one with port=…, or 0 for a free one)")
        })?;
        runner.info(&format!("Metrics for Prometheus are at http://{}/metrics", server.address()));
        self.server = Some(server);
        let run = runner.run().info()?;
        let labels = [
            ("experiment", run.experiment_name),
            ("version", run.version),
            ("rank", rank.to_string()),
        ];
        self.page.set(&Family::INFO, Sample::labelled(&labels, 1.0));
        self.publish(runner);
        Ok(())
    }

    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        self.publish(runner);
        Ok(())
    }

    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        if !runner.every_n_train_iters(self.interval) {
            return Ok(());
        }
        for name in step.outputs.names() {
            // Outputs of more than one element are no losses.
            if let Ok(value) = step.outputs.value(&name) {
                self.page.set(&Family::LOSS, Sample::named(&name, value));
            }
        }
        self.publish(runner);
        Ok(())
    }

    fn after_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        self.publish(runner);
        Ok(())
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        for (name, value) in metrics.iter() {
            self.page.set(&Family::METRIC, Sample::named(name, value));
        }
        self.publish(runner);
        Ok(())
    }

    fn after_save_checkpoint(
        &mut self,
        runner: &mut Runner,
        saved: &SavedCheckpoint,
    ) -> HookResult {
        self.page.set(&Family::CHECKPOINT, Sample::plain(saved.iter as f64));
        self.publish(runner);
        Ok(())
    }

    fn after_run(&mut self, _: &mut Runner) -> HookResult {
        self.server = None;
        Ok(())
    }
}

impl PrometheusHook {
    fn publish(&mut self, runner: &Runner) {
        let Some(server) = &self.server else { return };
        let progress = runner.progress();
        for (family, value) in [
            (&Family::EPOCH, progress.epoch),
            (&Family::MAX_EPOCHS, progress.max_epochs),
            (&Family::ITERATION, progress.iter),
            (&Family::MAX_ITERATIONS, progress.max_iters),
        ] {
            self.page.set(family, Sample::plain(value as f64));
        }
        if let Some(rate) = runner.learning_rate() {
            self.page.set(&Family::LEARNING_RATE, Sample::plain(rate));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.page.set(&Family::UPDATED, Sample::plain(now.as_secs_f64()));
        server.show(self.page.text());
    }
}

export_plugin!(PrometheusHook);

#[cfg(test)]
mod tests {
    use super::PrometheusHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::testing::FakeRunner;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn get(address: &str, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[test]
    fn a_run_is_scraped_while_it_goes_on_and_the_page_ends_with_it() {
        let kwargs = json!({ "port": 0, "interval": 1 });
        let mut hook = PrometheusHook::from_kwargs("PrometheusHook", &kwargs).unwrap();
        let mut run = FakeRunner::new()
            .output("loss", [0.5])
            .output("loss_nan", [f64::NAN])
            .learning_rate(0.01)
            .max_epochs(3)
            .metrics([("coco/bbox_mAP", 0.25)]);
        run.run_point(&mut hook, HookPoint::BeforeRun, None).unwrap();
        run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(0)).unwrap();
        run.run_point(&mut hook, HookPoint::AfterValEpoch, None).unwrap();
        let address = hook.server.as_ref().unwrap().address().to_string();
        assert!(address.starts_with("127.0.0.1:"));
        let (head, body) = get(&address, "/metrics");
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        for line in [
            "snaphook_max_epochs 3",
            "snaphook_loss{name=\"loss\"} 0.5",
            "snaphook_loss{name=\"loss_nan\"} NaN",
            "snaphook_metric{name=\"coco/bbox_mAP\"} 0.25",
            "snaphook_learning_rate 0.01",
        ] {
            assert!(body.lines().any(|found| found == line), "{line}\n{body}");
        }
        assert!(get(&address, "/").0.starts_with("HTTP/1.1 404"));
        run.run_point(&mut hook, HookPoint::AfterRun, None).unwrap();
        assert!(TcpStream::connect(&address).is_err());
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_with_a_way_out() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let kwargs = json!({ "port": taken.local_addr().unwrap().port() });
        let mut hook = PrometheusHook::from_kwargs("PrometheusHook", &kwargs).unwrap();
        let error = FakeRunner::new().run_point(&mut hook, HookPoint::BeforeRun, None).unwrap_err();
        assert!(error.message.contains("choose another one"), "{}", error.message);
    }
}
