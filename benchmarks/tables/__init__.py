"""One module for each table of docs/performance.md."""
