#!/usr/bin/env bash
# Makes .venv and finds the programs that Liveshelf needs: `deploy/prepare.sh base|train|dev`.
# Idempotent: what is there and current is left alone. As root with apt it installs what is missing,
# otherwise it says in one line what to install. A .venv that was made in another folder is made anew: its programs name
# the interpreter by its path.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-base}
uv=$(sed -nE 's/^uv==([0-9.]+).*/\1/p' requirements/uv.txt)

say() { printf '%s\n' "$*" >&2; }

apt_install() { # why, packages …
  local why=$1
  shift
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing $* ($why)"
    [ -n "${apt_updated:-}" ] || { apt-get update -qq >/dev/null && apt_updated=1; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  else
    return 1
  fi
}

need() { # program, package
  command -v "$1" >/dev/null && return
  apt_install "$1 is missing" "$2" || { say "missing: $1. Install it: sudo apt-get install $2"; exit 1; }
}

want() { # program, package, what is left out without it
  command -v "$1" >/dev/null && return
  apt_install "optional" "$2" || say "without $1 $3; to have it: sudo apt-get install $2"
}

need_java() { # program, the variable that names it
  local version # JAVA_TOOL_OPTIONS puts lines before it
  version=$("$1" -version 2>&1 | sed -nE 's/.*version "(1\.)?([0-9]+).*/\2/p' | head -n 1) || true
  [ "${version:-0}" -ge 17 ] && return
  say "needed: Java 17 or newer. $1 (of $2) is ${version:-none}: sudo apt-get install openjdk-17-jre-headless, and name it first in $2"
  exit 1
}

need_write() {
  local folder
  for folder in . .venv; do
    [ ! -e $folder ] || [ -w $folder ] || { say "$(id -un) may not write in $(cd $folder && pwd): chown it, or make a checkout of your own"; exit 1; }
  done
}

find_python() {
  local name
  # the system's first: Flink embeds the interpreter, which needs a shared libpython; self-built ones often have none
  for name in "${PYTHON:-}" /usr/bin/python3.11 python3.11 python3; do
    [ -n "$name" ] && "$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && { echo "$name"; return; }
  done
  return 1
}

need java openjdk-17-jre-headless
need_java "$(command -v java)" PATH
[ -z "${JAVA_HOME:-}" ] || need_java "$JAVA_HOME/bin/java" JAVA_HOME # which Flink's scripts prefer
need mvn maven
for program in prometheus prometheus-alertmanager; do
  command -v $program >/dev/null && continue
  want $program $program "nobody watches the stack"
  # Debian starts a server of its own on our port
  if command -v systemctl >/dev/null; then systemctl disable --now $program >/dev/null 2>&1 || true; fi
done
if [ "$kind" = dev ]; then
  want chromium chromium "the browser test cannot run"
  want chromedriver chromium-driver "the browser test cannot run"
fi
python=$(find_python) || {
  apt_install "Python 3.11 is missing" python3.11 python3.11-venv || { say "missing: Python 3.11. Install it, or set PYTHON=/path/to/python3.11"; exit 1; }
  python=$(find_python)
}

made_elsewhere() {
  [ -f .venv/bin/liveshelf ] && ! grep -qF -e "$(pwd)/.venv/bin/" -e "$(cd .venv && pwd -P)/bin/" .venv/bin/liveshelf
}
if made_elsewhere; then
  need_write
  say "this folder was moved: .venv is made anew"
  rm -rf .venv
fi
stamp=.venv/.liveshelf-$kind
sums=$(sha256sum "requirements/$kind.lock" pyproject.toml | sha256sum | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null)" = "$sums" ]; then exit 0; fi
for larger in dev train; do # the larger sets hold the smaller
  [ "$larger" = "$kind" ] && break
  larger_sums=$(sha256sum "requirements/$larger.lock" pyproject.toml | sha256sum | cut -d' ' -f1)
  if [ "$(cat ".venv/.liveshelf-$larger" 2>/dev/null)" = "$larger_sums" ]; then exit 0; fi
done
need_write
if [ ! -x .venv/bin/python ]; then
  "$python" -c 'import ensurepip' 2>/dev/null || apt_install "venv is missing" python3.11-venv ||
    { say "missing: venv. Install it: sudo apt-get install python3.11-venv"; exit 1; }
  rm -rf .venv
  "$python" -m venv .venv
fi
.venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null # a venv that uv made
.venv/bin/python -m uv --version 2>/dev/null | grep -qF "uv $uv " ||
  .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt
say "installing the Python packages of requirements/$kind.lock"
.venv/bin/python -m uv pip install -q --python .venv/bin/python --require-hashes -r "requirements/$kind.lock"
.venv/bin/python -m uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
echo "$sums" >"$stamp"
