"""Sphinx configuration; a warning is an error (``make docs``)."""

from __future__ import annotations

import sys
from pathlib import Path

_DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(_DOCS), str(_DOCS.parent)]

from stunnel_tx import __version__  # noqa: E402 - found through the line above

project = "stunnel_tx"
author = "stunnel_tx contributors"
copyright = f"2026, {author}"
version = release = __version__

extensions = ["myst_parser", "generated_pages"]
exclude_patterns = ["_build", "reference/_generated"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"stunnel_tx {release}"
# stunnel.conf is close to an INI file, but for what its comments and values may hold.
highlight_language = "text"
