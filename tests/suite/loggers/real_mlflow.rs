//! MLflow's own server, where it is installed: what a run wrote is what MLflow's own client reads.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use snaphook_tests::{Workspace, repository, start};

use super::http::get;
use super::{assert_near, losses};

/// `mlflow server` with all that it starts; ended when this is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(python: &std::ffi::OsStr, folder: &Path) -> Server {
        // Free a moment ago; the server takes it within seconds.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(python);
        command.args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]);
        command.args(["--port", &port.to_string(), "--backend-store-uri", "sqlite:///runs.db"]);
        command.args(["--artifacts-destination", "artifacts"]).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.process_group(0).spawn().unwrap();
        let mut server = Server { child, address: format!("127.0.0.1:{port}") };
        let end = Instant::now() + Duration::from_secs(170);
        while get(&server.address, "/health").is_none_or(|(head, _)| !head.contains(" 200 ")) {
            assert!(server.child.try_wait().unwrap().is_none(), "mlflow server has ended");
            assert!(Instant::now() < end, "mlflow server does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

#[test]
fn a_real_mlflow_server_has_it_all_where_it_is_installed() {
    let python = std::env::var_os("SNAPHOOK_MLFLOW_PYTHON").unwrap_or_else(|| "python3".into());
    let has_mlflow =
        ["-c", "import importlib.util as u, sys; sys.exit(u.find_spec('mlflow') is None)"];
    let import = Command::new(&python).args(has_mlflow).output();
    if !import.is_ok_and(|output| output.status.success()) {
        eprintln!("not compared: no python3 with mlflow (SNAPHOOK_MLFLOW_PYTHON names another)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&python, folder.path());
    let url = format!("http://{}", server.address);
    let workspace = Workspace::with(&format!(
        "{}custom_hooks = [dict(type='MlflowHook', tracking_uri='{url}', exp_name='shapes', run_name='one', interval=1, \
         tags=dict(team='a'))]",
        super::RAW
    ));
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    workspace.train(&["--resume"]).expect_code(0);
    let broken = Workspace::with(&format!(
        "{}custom_hooks = [dict(type='MlflowHook', tracking_uri='{url}', exp_name='shapes', run_name='two'), \
         dict(type='CheckInvalidLossHook', interval=1)]",
        super::BREAKS
    ));
    broken.train(&[]).expect_code(3);

    let mut read = Command::new(&python);
    read.arg(repository().join("tests/fixtures/mlflow_runs.py")).args([&url, "shapes"]);
    let read = start(read).wait();
    read.expect_code(0);
    let runs: Json = serde_json::from_str(&read.stdout).unwrap();
    let named = |key: &str| -> Vec<&str> {
        runs.as_array().unwrap().iter().map(|run| run[key].as_str().unwrap()).collect()
    };
    assert_eq!(named("name"), ["one", "two"], "a resumed run is the same run");
    assert_eq!(named("status"), ["FINISHED", "FAILED"]);
    let one = &runs[0];
    assert_eq!(
        (&one["params"]["optim_wrapper.optimizer.lr"], &one["tags"]["team"]),
        (&json!("0.001"), &json!("a"))
    );
    assert!(
        one["metrics"]["val/coco/bbox_mAP"].is_number() && one["metrics"]["train/lr"].is_number()
    );
    let pair = |entry: &Json| (entry[0].as_u64().unwrap(), entry[1].as_f64().unwrap());
    let loss: Vec<(u64, f64)> = one["loss"].as_array().unwrap().iter().map(pair).collect();
    assert_near(&loss, &losses(&workspace.work()));
}
