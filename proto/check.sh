#!/bin/sh
# Fails when client/tashihiki/v1 is not what proto/ generates.
set -eu
cd "$(dirname "$0")"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
./generate.sh "$fresh"
diff -r -x __pycache__ "$fresh/tashihiki/v1" ../client/tashihiki/v1 || {
  echo 'The generated code is not current: run make proto.' >&2
  exit 1
}
