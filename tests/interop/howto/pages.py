"""The complete configurations of the documentation: its blocks marked ``ini``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parent.parent.parent.parent

_BLOCK: Final = re.compile(r"^```ini\n(.*?)^```$", re.DOTALL | re.MULTILINE)

#: How many of them each page has; every one is run.
RUN: Final = {
    "README.md": 1,
    "docs/howto/legacy-client.md": 1,
    "docs/howto/names.md": 1,
    "docs/howto/upgrade-chat.md": 2,
    "docs/howto/upgrade-databases.md": 2,
    "docs/howto/upgrade-directories.md": 2,
    "docs/howto/upgrade-ftp.md": 2,
    "docs/howto/upgrade-mail.md": 2,
    "docs/howto/upgrade-proxies.md": 4,
    "docs/tutorial/first-tunnel.md": 2,
}


def blocks(page: str) -> list[str]:
    """The configurations of *page*, a path below the project's folder."""
    return _BLOCK.findall(text(page))


def text(page: str) -> str:
    """All that *page* says."""
    return (_ROOT / page).read_text(encoding="utf-8")


def pages() -> list[str]:
    """Every page that has one."""
    found = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
    names = [str(path.relative_to(_ROOT)) for path in found]
    return [name for name in names if blocks(name)]
