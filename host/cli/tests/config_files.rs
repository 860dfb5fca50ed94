//! `snaphook config …` on small configs: what is printed, and how it ends.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod folder;

use folder::Folder;
use serde_json::{Value as Json, json};

const BASE: &str = "root = 'a/'\nscale = (1, 2)\nhooks = [dict(type='A')]\nnone = None\nratio = 1.0\n\
    loader = dict(ann=root + 'x.json', deep=dict(lr=1e-3, on=True, name='1'))\n";
const CHILD: &str = "_base_ = 'base.py'\nroot = 'c/'\nloader = dict(\n    deep=dict(lr=0.5))\n";

fn folder() -> Folder {
    Folder::with(&[("base.py", BASE), ("tiny.py", CHILD)])
}

/// Stdout of a command that must end well.
fn prints(folder: &Folder, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = folder.run(arguments);
    assert_eq!(code, 0, "{arguments:?}: {stderr}");
    stdout
}

fn values(folder: &Folder, arguments: &[&str]) -> Json {
    serde_json::from_str(&prints(folder, &[&["config", "print"], arguments].concat())).unwrap()
}

#[test]
fn every_format_loads_to_the_same_values_again() {
    let folder = folder();
    let resolved = values(&folder, &["tiny.py"]);
    for format in ["py", "json", "yaml", "toml"] {
        let text = prints(&folder, &["config", "print", "tiny.py", "--format", format]);
        let name = format!("again.{format}");
        std::fs::write(folder.path().join(&name), &text).unwrap();
        assert_eq!(values(&folder, &[&name]), resolved, "{text}");
        // And once more, from that format into each other.
        for other in ["py", "json", "yaml", "toml"] {
            let text = prints(&folder, &["config", "print", &name, "--format", other]);
            let name = format!("third.{other}");
            std::fs::write(folder.path().join(&name), &text).unwrap();
            assert_eq!(values(&folder, &[&name]), resolved, "{format} to {other}:\n{text}");
        }
    }
}

#[test]
fn overrides_index_append_extend_and_keep_quotes() {
    let folder = folder();
    let found = values(
        &folder,
        &[
            "tiny.py",
            "hooks.0.type=B",
            "hooks+=dict(type='C', n=[1, None])",
            "hooks+=[dict(type='D')]",
            "scale+=3",
            "loader.deep.name='1'",
            "--cfg-options",
            "ratio=2",
            "new=\"a, b\"",
        ],
    );
    let hooks = json!([{"type": "B"}, {"type": "C", "n": [1, null]}, {"type": "D"}]);
    assert_eq!(found["hooks"], hooks);
    assert_eq!(found["scale"], json!([1, 2, 3]));
    assert_eq!((&found["loader"]["deep"]["name"], &found["ratio"]), (&json!("1"), &json!(2)));
    assert_eq!(found["new"], json!("a, b"));
}

#[test]
fn an_override_of_an_unknown_key_warns_with_the_nearest_name() {
    let folder = folder();
    let (code, _, stderr) = folder.run(&["config", "print", "tiny.py", "loader.dep.lr=1"]);
    assert_eq!(code, 0);
    assert!(stderr.starts_with("warning: "), "{stderr}");
    assert!(stderr.contains("loader has no key `dep`") && stderr.contains("did you mean `deep`?"));
}

#[test]
fn explain_shows_every_file_line_and_override() {
    let folder = folder();
    let text =
        prints(&folder, &["config", "explain", "tiny.py", "loader.deep.lr", "loader.deep.lr=2"]);
    assert_eq!(
        text,
        "base.py, line 6: loader.deep.lr = 0.001\ntiny.py, line 4: loader.deep.lr = 0.5\n\
         --cfg-options, option 1: loader.deep.lr = 2\n"
    );
    let text = prints(&folder, &["config", "explain", "tiny.py", "root"]);
    let warning =
        "warning: tiny.py, line 2: `root` is changed, but loader.ann built from it in a base";
    assert!(text.contains(warning), "{text}");
}

#[test]
fn explaining_what_is_not_there_is_an_error_with_the_nearest_key() {
    let folder = folder();
    let (code, _, stderr) = folder.run(&["config", "explain", "tiny.py", "loader.dep.lr"]);
    assert_eq!(code, 1);
    let expected = "error: loader.dep.lr: nothing writes it (did you mean loader.deep?)\n";
    assert_eq!(stderr, expected);
}

#[test]
fn propagation_reaches_what_the_base_built() {
    let folder = folder();
    assert_eq!(values(&folder, &["tiny.py"])["loader"]["ann"], "a/x.json");
    assert_eq!(values(&folder, &["tiny.py", "--propagate"])["loader"]["ann"], "c/x.json");
    assert_eq!(
        values(&folder, &["tiny.py", "root=d/", "--propagate"])["loader"]["ann"],
        "d/x.json"
    );
    let text = prints(&folder, &["config", "diff", "base.py", "tiny.py", "--propagate"]);
    assert!(text.contains("~ loader.ann: \"a/x.json\" -> \"c/x.json\""), "{text}");
}

#[test]
fn files_outside_of_the_allowed_roots_are_refused_links_followed() {
    let files = [("in/a.py", "_base_ = '../out.py'"), ("out.py", "x = 1"), ("in/b.py", "y = 2")];
    let folder = Folder::with(&files);
    assert_eq!(values(&folder, &["in/a.py"]), json!({"x": 1}));
    assert_eq!(values(&folder, &["in/b.py", "--config-root", "in"]), json!({"y": 2}));
    std::os::unix::fs::symlink("../out.py", folder.path().join("in/link.py")).unwrap();
    for name in ["in/a.py", "in/link.py", "out.py"] {
        let (code, stdout, stderr) = folder.run(&["config", "print", name, "--config-root", "in"]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{name}");
        assert!(stderr.contains("out.py: expected a file in in, found it elsewhere"), "{stderr}");
    }
}

#[test]
fn diff_tells_each_difference_once_with_both_places() {
    let folder = folder();
    let text = prints(&folder, &["config", "diff", "base.py", "tiny.py"]);
    assert_eq!(
        text,
        "~ root: \"a/\" -> \"c/\" (base.py, line 1 -> tiny.py, line 2)\n\
         ~ loader.deep.lr: 0.001 -> 0.5 (base.py, line 6 -> tiny.py, line 4)\n"
    );
    assert_eq!(prints(&folder, &["config", "diff", "tiny.py", "tiny.py"]), "");
}
