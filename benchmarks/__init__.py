"""How fast ganlab is, measured on this machine: `python -m benchmarks --help`. See docs/performance.md."""
