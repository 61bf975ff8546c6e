#!/bin/sh
# Writes the Python modules of tashihiki/v1 under the folder $1.
set -eu
cd "$(dirname "$0")"
. ./tools.sh
protoc --python_out="$1" --grpc_python_out="$1" --mypy_out=quiet:"$1" --mypy_grpc_out=quiet:"$1"
touch "$1/tashihiki/v1/__init__.py"
