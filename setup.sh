#!/bin/sh
# Debian packages that the wheels lean on, and an empty virtual environment in $1.
# With `chromium` as $2 the browser too, for the tests of the gallery page.
set -eu
missing=
PATH=$PATH:/usr/sbin:/sbin
has() { ldconfig -p | grep -q "$1"; }
has libEGL.so.1 || missing="$missing libegl1"
has libGL.so.1 || missing="$missing libgl1"
has libexpat.so.1 || missing="$missing libexpat1"
"$PYTHON" -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
  root=
  [ "$(id -u)" = 0 ] || root=sudo
  $root apt-get update -qq
  # shellcheck disable=SC2086
  $root apt-get install -y -qq --no-install-recommends $missing
fi
[ -x "$1/bin/pip" ] || "$PYTHON" -m venv "$1"
if [ "${2-}" = chromium ] && ! command -v chromium >/dev/null; then
  root=
  [ "$(id -u)" = 0 ] || root=sudo
  { $root apt-get update -qq && $root apt-get install -y -qq --no-install-recommends chromium; } ||
    echo 'There is no Chromium: the tests of the gallery page in a browser will be skipped.' >&2
fi
