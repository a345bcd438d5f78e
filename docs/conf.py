"""How `sphinx-build -W docs OUT` makes the pages into a site: plain Markdown, nothing fetched from elsewhere.

The pages stay as they are read in the repository; the order of the navigation is that of the links in `index.md`.
Sphinx, because it refuses a link to a heading that is not there and its own theme fetches no font and no script.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

project = "ganlab"
author = "The ganlab developers"
extensions = ["myst_parser"]
exclude_patterns = ["README.md"]
root_doc = "index"
nitpicky = True

myst_heading_anchors = 4
myst_links_external_new_tab = False

html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "sidebar_width": "240px", "show_powered_by": False}
html_show_copyright = False
html_show_sourcelink = False
html_sidebars = {"**": ["about.html", "navigation.html", "searchfield.html"]}


def setup(app: Any) -> None:
    """Add the navigation to the start page when it is read."""
    app.connect("source-read", _with_navigation)


def _with_navigation(app: Any, name: str, source: list[str]) -> None:
    if name != root_doc:
        return
    linked = re.findall(r"\]\(([\w-]+)\.md[)#]", source[0])
    decisions = sorted(f"decisions/{path.stem}" for path in (Path(app.srcdir) / "decisions").glob("*.md"))
    pages = "\n".join(dict.fromkeys([*linked, *decisions]))
    source[0] += f"\n\n```{{toctree}}\n:hidden:\n:titlesonly:\n\n{pages}\n```\n"
