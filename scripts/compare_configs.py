#!/usr/bin/env python3
"""Compares `snaphook config print` with MMEngine on every config that MMDetection 3.3.0 ships.

    python3 scripts/compare_configs.py --snaphook target/release/snaphook [--cache DIR]

Downloads MMDetection's wheel with pip (no dependencies, nothing of it is run), makes a virtual
environment with MMEngine 0.10.7, loads every config with both, and compares the JSON: values, types
(int and float differ, tuples are arrays) and the order of keys. Ends with 1 if a config differs that
MMEngine loads. Needs Python 3.8 or newer with venv, and the network the first time.
"""
import argparse
import json
import os
import subprocess
import sys
import time
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MMDET = "mmdet==3.3.0"
# MMEngine without torch and matplotlib: its configs need neither.
PEER = ["mmengine==0.10.7", "addict", "numpy", "pyyaml", "rich", "termcolor", "packaging", "yapf", "opencv-python-headless"]

LOAD = r"""
import json, sys, time, warnings
warnings.simplefilter("ignore")
start = time.perf_counter()
from mmengine.config import Config, ConfigDict
imported = time.perf_counter() - start
results, start = {}, time.perf_counter()
for path in json.load(sys.stdin):
    try:
        results[path] = ConfigDict(Config._file2dict(path)[0]).to_dict()
    except Exception as error:
        results[path] = f"{type(error).__name__}: {error}"
seconds = time.perf_counter() - start
json.dump(dict(results=results, seconds=seconds, imported=imported), sys.stdout)
"""


def wheel(cache: Path) -> Path:
    """The folder that MMDetection's wheel is unpacked in."""
    folder = cache / "mmdet"
    if not (folder / "mmdet" / ".mim" / "configs").is_dir():
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", cache, MMDET], check=True)
        zipfile.ZipFile(next(cache.glob("mmdet-*.whl"))).extractall(folder)
    return folder


def peer(cache: Path) -> Path:
    """A Python that has MMEngine."""
    python = cache / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(cache / "venv", with_pip=True)
        # MMDetection itself too, unimported: `mmdet::` bases are looked for in the installed package.
        for packages in (PEER, [MMDET]):
            subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", *packages], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "rich", "yapf"], check=True)
    return python


def snaphook(program: str, search: Path, path: Path):
    """The config as Snaphook has it, or its message."""
    command = [program, "config", "print", "--format", "json", "--config-path", search, path]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip()


def difference(ours, theirs, path=""):
    """Where two values differ first, or nothing."""
    if type(ours) is not type(theirs):
        return f"{path}: {ours!r} is not {theirs!r}"
    if isinstance(ours, dict):
        if list(ours) != list(theirs):
            return f"{path}: keys {list(ours)} are not {list(theirs)}"
        return next(filter(None, (difference(ours[k], theirs[k], f"{path}.{k}") for k in ours)), None)
    if isinstance(ours, list):
        if len(ours) != len(theirs):
            return f"{path}: {len(ours)} items are not {len(theirs)}"
        return next(filter(None, (difference(a, b, f"{path}.{i}") for i, (a, b) in enumerate(zip(ours, theirs)))), None)
    return None if ours == theirs else f"{path}: {ours!r} is not {theirs!r}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snaphook", default="target/release/snaphook", help="the program to compare")
    parser.add_argument("--cache", type=Path, default=Path("target/compare-configs"), help="where downloads are kept")
    parser.add_argument("--python", type=Path, help="a Python that has mmengine 0.10.7 and mmdet 3.3.0 already")
    arguments = parser.parse_args()
    cache = arguments.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    search = wheel(cache)
    configs = search / "mmdet" / ".mim" / "configs"
    helpers = {"override_category.py"}  # scripts that lie among the configs
    paths = sorted(p for p in configs.rglob("*.py") if p.name not in helpers)
    python = arguments.python or peer(cache)
    names = json.dumps([str(path) for path in paths])
    done = subprocess.run([python, "-c", LOAD], input=names, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout[done.stdout.index('{"results"'):])
    start = time.perf_counter()
    with ThreadPoolExecutor(max_workers=1) as pool:
        ours = list(pool.map(lambda path: snaphook(arguments.snaphook, search, path), paths))
    seconds = time.perf_counter() - start
    equal, differing, refused, extra = 0, [], [], []
    for path, mine in zip(paths, ours):
        name, peers = str(path.relative_to(configs)), theirs["results"][str(path)]
        if isinstance(peers, str):
            extra.append((name, peers, "loads" if isinstance(mine, dict) else mine.splitlines()[0]))
        elif isinstance(mine, str):
            refused.append((name, mine))
        elif found := difference(mine, json.loads(json.dumps(peers))):
            differing.append((name, found))
        else:
            equal += 1
    loaded = len(paths) - len(extra)
    print(f"{len(paths)} configs, MMEngine loads {loaded}: {equal} equal, {len(differing)} differ, {len(refused)} refused")
    print(f"MMEngine: import {theirs['imported']:.2f} s, then {1000 * theirs['seconds'] / len(paths):.1f} ms each")
    print(f"snaphook config print: {1000 * seconds / len(paths):.1f} ms each, as one process each")
    for name, what in differing + refused:
        print(f"  {name}: {what}")
    print(f"{len(extra)} that MMEngine does not load:")
    for name, peers, mine in extra:
        print(f"  {name}\n    MMEngine: {peers.splitlines()[0][:150]}\n    Snaphook: {mine[:150]}")
    return 1 if differing or refused else 0


if __name__ == "__main__":
    os.environ["PYTHONIOENCODING"] = "utf-8"
    sys.exit(main())
