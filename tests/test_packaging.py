"""Tests of the project's frame: metadata, plugin, examples, and the rules modules keep."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import stunnel_tx
from stunnel_tx.configuration.loader import load
from stunnel_tx.configuration.sources import file_source

if TYPE_CHECKING:
    from twisted.application.service import ServiceMaker

_ROOT = Path(__file__).resolve().parent.parent
_MODULES = sorted((_ROOT / "stunnel_tx").rglob("*.py"))
_BENCHMARKS = sorted((_ROOT / "benchmarks").rglob("*.py"))
_TESTS = sorted((_ROOT / "tests").rglob("*.py"))

# Modules whose import costs start-up time that not every configuration needs.
_LATE = {"asyncio", "requests", "ssl", "treq"}


def _project() -> dict[str, Any]:
    with (_ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def _first_level_imports(tree: ast.Module) -> set[str]:
    """The top-level packages that a module imports as soon as it is imported itself."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


class MetadataTests(SynchronousTestCase):
    """What pyproject.toml promises."""

    def test_one_version(self) -> None:
        """The version is written in one place, from which the build reads it."""
        project = _project()
        self.assertIn("version", project["project"]["dynamic"])
        source = project["tool"]["setuptools"]["dynamic"]["version"]["attr"]
        self.assertEqual(source, "stunnel_tx.__version__")
        self.assertRegex(stunnel_tx.__version__, r"^[0-9]+\.[0-9]+\.[0-9]+")

    def test_supported_pythons(self) -> None:
        """There is a tox environment for each Python that the metadata name."""
        named = {
            classifier.rpartition(" ")[2].replace(".", "")
            for classifier in _project()["project"]["classifiers"]
            if "Python :: 3." in classifier
        }
        text = (_ROOT / "tox.ini").read_text(encoding="utf-8")
        self.assertEqual(named, {"311", "312", "313", "314"})
        self.assertIn("py{" + ",".join(sorted(named)) + "}", text)

    def test_commands(self) -> None:
        """The console script leads to a function that is there."""
        from stunnel_tx.cli import main

        self.assertEqual(_project()["project"]["scripts"], {"stunnel-tx": "stunnel_tx.cli:main"})
        self.assertTrue(callable(main))

    def test_packages_are_packages(self) -> None:
        """Every folder below stunnel_tx that has modules has an __init__ with a docstring."""
        for folder in {module.parent for module in _MODULES}:
            tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
            self.assertTrue(ast.get_docstring(tree), folder)


class PluginTests(SynchronousTestCase):
    """The twistd plugin."""

    def test_portion_of_twisted(self) -> None:
        """No __init__.py of ours hides Twisted's packages."""
        sources = {path.name for path in (_ROOT / "twisted").rglob("*.py")}
        self.assertEqual(sources, {"stunnel_tx_plugin.py"})

    def test_found(self) -> None:
        """The command "stunnel" is found by twistd and leads to this package."""
        found = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "stunnel"]
        self.assertEqual(
            [cast("ServiceMaker", maker).module for maker in found], ["stunnel_tx.tap"]
        )


class ExampleTests(SynchronousTestCase):
    """The example configurations."""

    def test_examples_load(self) -> None:
        """Each example is a configuration without an error and without a note."""
        examples = sorted((_ROOT / "examples").glob("*.conf"))
        self.assertGreaterEqual(len(examples), 4)
        for example in examples:
            configuration = load(file_source(str(example)))
            self.assertTrue(configuration.services, example.name)
            self.assertEqual(configuration.notes, (), example.name)


class ModuleTests(SynchronousTestCase):
    """Rules that every module keeps and no linter knows."""

    def test_length(self) -> None:
        """No module is longer than 400 lines."""
        for module in (*_MODULES, *_BENCHMARKS):
            with module.open(encoding="utf-8") as file:
                length = sum(1 for _ in file)
            self.assertLessEqual(length, 400, module.relative_to(_ROOT))

    def test_function_length(self) -> None:
        """No function is longer than 40 lines, its docstring left out."""
        for module in (*_MODULES, *_BENCHMARKS):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    end, start = node.end_lineno or node.lineno, node.lineno
                    first = node.body[0]
                    if ast.get_docstring(node) and first.end_lineno is not None:
                        start = first.end_lineno
                    where = f"{module.relative_to(_ROOT)}: {node.name}"
                    self.assertLessEqual(end - start, 40, where)

    def test_start_up_imports(self) -> None:
        """What is slow to import is imported where it is used."""
        for module in _MODULES:
            tree = ast.parse(module.read_text(encoding="utf-8"))
            self.assertEqual(_first_level_imports(tree) & _LATE, set(), module.relative_to(_ROOT))

    def test_mirrored_tests(self) -> None:
        """Each test module stands where the module it tests stands."""
        for path in _TESTS:
            relative = path.relative_to(_ROOT / "tests")
            if path.name.startswith("test_") and relative.parent != Path():
                # Measurements and documentation have folders of their own, beside the program.
                beside = relative.parts[0] in {"benchmarks", "docs"}
                target = _ROOT / ("" if beside else "stunnel_tx") / relative.parent
                self.assertTrue(target.is_dir() or relative.parts[0] == "properties", relative)
