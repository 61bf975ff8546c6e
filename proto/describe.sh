#!/bin/sh
# Writes the descriptors of tashihiki/v1 with their comments to the file $1.
set -eu
cd "$(dirname "$0")"
. ./tools.sh
protoc --include_source_info --descriptor_set_out="$1"
