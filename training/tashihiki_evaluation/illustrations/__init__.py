"""The pictures of README and docs/arithmetic.md, drawn from what the demo's server answers."""
