"""Tests of what is loaded ahead of a chroot."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.service.imports import PACKAGES

#: Prints the modules among its arguments that are not loaded at the end.
LOOK = """
import sys
from stunnel_tx.service.imports import import_everything
import_everything()
print(*[name for name in sys.argv[1:] if name not in sys.modules])
"""


def late_imports(path: Path) -> set[str]:
    """The modules that the functions of one file import."""
    found: set[str] = set()
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
                names = [f"{node.module}.{each.name}" for each in node.names]
                found.update(name for name in names if _is_module(name))
            elif isinstance(node, ast.Import):
                found.update(each.name for each in node.names)
    return found


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):
        # The parent is no package, or says nothing of itself.
        return False


class ImportTests(SynchronousTestCase):
    """A process of its own that loads everything."""

    def test_nothing_is_left_to_import(self) -> None:
        """What any function of the program imports where it needs it has been loaded."""
        root = Path(__file__).parent.parent.parent
        wanted: set[str] = set()
        for package in PACKAGES:
            folder = root.joinpath(*package.split("."))
            for path in sorted(folder.rglob("*.py")):
                wanted |= late_imports(path)
                wanted.add(".".join(path.relative_to(root).with_suffix("").parts))
        wanted = {name.removesuffix(".__init__") for name in wanted}
        self.assertIn("stunnel_tx.negotiation.protocols.smtp", wanted)
        done = subprocess.run(
            [sys.executable, "-c", LOOK, *sorted(wanted)],
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
        )
        self.assertEqual(done.stdout.split(), [])
