#!/bin/sh
# Writes the Python modules of tashihiki/v1 under the folder $1.
set -eu
cd "$(dirname "$0")"
tools=../.venv-proto
if [ ! -x "$tools/bin/protoc-gen-mypy" ]; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet -r requirements.txt
fi
common=$("$tools/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
PATH="$tools/bin:$PATH" "$tools/bin/python" -m grpc_tools.protoc \
  --proto_path=. --proto_path="$common" \
  --python_out="$1" --grpc_python_out="$1" --mypy_out=quiet:"$1" --mypy_grpc_out=quiet:"$1" \
  tashihiki/v1/*.proto
touch "$1/tashihiki/v1/__init__.py"
