# For scripts in this folder: the pinned tools in an environment of their own, made on first use.
tools=../.venv-proto
if [ ! -x "$tools/bin/protoc-gen-mypy" ]; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet -r requirements.txt
fi
common=$("$tools/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

protoc() {
  PATH="$tools/bin:$PATH" "$tools/bin/python" -m grpc_tools.protoc \
    --proto_path=. --proto_path="$common" "$@" tashihiki/v1/*.proto
}
