//! The page in a real browser: it draws, its script runs under its own policy, it fits narrow and wide windows, light and
//! dark. Needs Chromium; without one the test says so and does nothing else.
#![allow(clippy::unwrap_used)] // helpers of tests count as no tests for clippy

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use snaphook_report::{
    ConfigDifference, Environment, HookCost, PhaseTime, Position, RunData, RunFolder, RunRecord,
    Status, comparison_page, run_page,
};

/// Chromium's program, by the names that systems give it; `SNAPHOOK_BROWSER` names another one.
fn browser() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("SNAPHOOK_BROWSER") {
        return Some(path.into());
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let mut all = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.find(|path| path.is_file() && can_show(path))
}

/// Whether it shows a page of this folder: some systems have a program of that name which only says how to get one, or one that
/// does not see our files.
fn can_show(browser: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(browser, folder.path(), "<p>here it is</p>", 800);
    let shown = std::fs::File::create(folder.path().join("shown")).unwrap();
    let Ok(mut child) = command.stdout(shown).stderr(Stdio::null()).spawn() else { return false };
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::read_to_string(folder.path().join("shown")).unwrap_or_default().contains("here it is")
}

/// Prints what the page has become in a window of this width. Files are made in the folder.
fn command(browser: &Path, folder: &Path, page: &str, width: u32) -> Command {
    let file = folder.join("page.html");
    std::fs::write(&file, page).unwrap();
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
    ]);
    command.args([
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.arg(format!("--window-size={width},900")).arg("--dump-dom");
    command.arg(format!("file://{}", file.display()));
    command
}

/// What a person would do on the page, and what is then to be seen; written into the page's own root element.
const PROBE: &str = "<script>addEventListener('load', () => {
  const root = document.documentElement, plot = document.querySelector('.plot'), box = plot.getBoundingClientRect();
  plot.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + box.width, clientY: box.top + 5 }));
  const tip = document.querySelector('.tip');
  root.dataset.tip = [...tip.querySelectorAll('div')].map((row) => [...row.children].map((part) => part.textContent).join('=')).join(';');
  root.dataset.tipShown = getComputedStyle(tip).display;
  root.dataset.curve = String(document.querySelector('.plot polyline').getBoundingClientRect().width > 100);
  document.querySelector('.legend button').click();
  const line = document.querySelector('.plot polyline[data-series=\"0\"]');
  root.dataset.line = getComputedStyle(line).display;
  root.dataset.overflow = String(root.scrollWidth - root.clientWidth);
  root.dataset.background = getComputedStyle(document.body).backgroundColor;
  root.dataset.pictures = String([...document.images].filter((image) => image.complete && image.naturalWidth > 0).length);
});</script>";

/// The root element of the page after the probe, as Chromium shows it in a window of this width.
fn probed(browser: &Path, page: &str, width: u32, is_dark: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let page = page.replace("</body>", &format!("{PROBE}</body>"));
    let mut command = command(browser, folder.path(), &page, width);
    command.arg(format!("--blink-settings=preferredColorScheme={}", u32::from(!is_dark)));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let start = text.find("<html").unwrap_or_else(|| {
        panic!("no page came out: {}\n{text}", String::from_utf8_lossy(&output.stderr))
    });
    text[start..].split('>').next().unwrap().to_owned()
}

fn attribute(root: &str, name: &str) -> String {
    let start = root.find(&format!("data-{name}=\"")).unwrap_or_else(|| panic!("{name}: {root}"));
    root[start..].split('"').nth(1).unwrap().to_owned()
}

/// A run of two epochs with a picture.
fn run(folder: &Path) -> RunData {
    let folder = folder.join("tiny/20260131_120000");
    std::fs::create_dir_all(folder.join("vis_data/vis_image")).unwrap();
    let records: String = (1..=40)
        .map(|iter| {
            let loss = 8.0 / f64::from(iter);
            let validation = if iter % 20 == 0 {
                format!("{{\"coco/bbox_mAP\": {}, \"step\": {}}}\n", loss / 10.0, iter / 20)
            } else {
                String::new()
            };
            format!(
                "{{\"lr\": 0.01, \"loss\": {loss}, \"epoch\": {}, \"iter\": {iter}, \"step\": {iter}}}\n{validation}",
                (iter - 1) / 20 + 1
            )
        })
        .collect();
    std::fs::write(folder.join("vis_data/scalars.json"), records).unwrap();
    std::fs::write(folder.join("vis_data/config.py"), "name = '</script><b>'\n").unwrap();
    std::fs::write(folder.join("vis_data/vis_image/val_img_1.png"), PICTURE).unwrap();
    let record = RunRecord {
        status: Status::Failed,
        reason: Some("loss became infinite <or> NaN".into()),
        experiment: "tiny_20260131_120000".into(),
        seconds: 60.0,
        position: Position { epoch: 2, iter: 40, max_epochs: 2, max_iters: 40, iters_here: 40 },
        phases: vec![PhaseTime { name: "forward".into(), seconds: 50.0 }],
        hooks: vec![HookCost {
            name: "ATypeWithAVeryLongNameThatMustNotMakeANarrowPageWiderThanItIsHook".into(),
            calls: 3,
            ..HookCost::default()
        }],
        environment: Environment::here(),
        ..RunRecord::default()
    };
    record.write(&folder).unwrap();
    RunData::read(&RunFolder { path: folder }).unwrap()
}

/// One red pixel.
const PICTURE: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53,
    0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8, 0xcf, 0xc0, 0x00,
    0x00, 0x03, 0x01, 0x01, 0x00, 0xf7, 0x03, 0x41, 0x43, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e,
    0x44, 0xae, 0x42, 0x60, 0x82,
];

#[test]
fn the_page_works_in_a_browser() {
    let Some(browser) = browser() else {
        eprintln!("skipped: no Chromium was found on PATH (SNAPHOOK_BROWSER names one)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let page = run_page(&run);
    let mut backgrounds = Vec::new();
    for (width, is_dark) in [(1280, false), (1280, true), (500, false)] {
        let root = probed(&browser, &page, width, is_dark);
        assert_eq!(attribute(&root, "ready"), "yes", "the script ran");
        assert_eq!(attribute(&root, "tip-shown"), "block");
        assert_eq!(attribute(&root, "tip"), "iteration 40=epoch 2;loss=0.2");
        assert_eq!(attribute(&root, "line"), "none", "a click hides the line");
        assert_eq!(attribute(&root, "overflow"), "0", "{width} pixels wide");
        assert_eq!(attribute(&root, "pictures"), "1");
        assert_eq!(attribute(&root, "curve"), "true");
        backgrounds.push(attribute(&root, "background"));
    }
    assert_ne!(backgrounds[0], backgrounds[1], "dark is another colour than light");

    let differences =
        [ConfigDifference { title: "b against a".into(), changes: vec!["~ lr: 1 -> 2".into()] }];
    let comparison = comparison_page(&[run.clone(), run], &differences);
    let root = probed(&browser, &comparison, 1280, false);
    let tip = attribute(&root, "tip");
    assert_eq!(tip.matches("tiny/20260131_120000=0.2").count(), 2, "{tip}");
}
