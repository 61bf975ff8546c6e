"""The reference of what callers use: docs/api.md for Python, docs/rpc.md for every language."""
