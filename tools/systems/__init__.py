"""Real job systems, watched to the end of their jobs: `python -m tools.systems [NAME...]`.

No pytest tests: what they need is too large for `make test`.
"""
