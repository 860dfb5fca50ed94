#!/bin/sh
# Builds the golden plugin with the plugin-api of this tree and puts it beside this script as `plugin-api-MAJOR.MINOR.so`.
# Run once per released minor version, with that version checked out; files of older versions are never made again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
version=$(sed -n 's/^version = "\([0-9]*\.[0-9]*\)\..*/\1/p' "$root/plugin-api/Cargo.toml")
golden="$here/plugin-api-$version.so"
if [ -e "$golden" ]; then
    echo "$golden: is there already (a golden file of a released version must not change)" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here/plugin/." "$work"
cp "$root/Cargo.lock" "$work"
sed -i "s|\"\.\./.*plugin-api\"|\"$root/plugin-api\"|" "$work/Cargo.toml"
# No path of this machine in the file.
RUSTFLAGS="--remap-path-prefix=$work=golden --remap-path-prefix=$root=snaphook --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" \
    cargo build --release --offline --manifest-path "$work/Cargo.toml" --target-dir "${CARGO_TARGET_DIR:-$work/target}/golden"
cp "${CARGO_TARGET_DIR:-$work/target}/golden/release/libgolden.so" "$golden"
ls -l "$golden"
