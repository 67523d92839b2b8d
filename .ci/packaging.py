"""Build sdist and wheel, then install and uninstall the wheel in a throw-away environment.

Run with a Python that has the ``build`` package. Works on a copy of the tree, in a temporary
directory, and prints one line per finding; exit status 1 when any of them is bad.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = "twisted/plugins/stunnel_tx_plugin.py"
NOT_COPIED = (
    ".git",
    ".venv*",
    ".tox",
    ".demo",
    "_build",
    "_trial_temp*",
    "*.egg-info",
    "build",
    "dist",
)
# A second's worth of Python: reads Twisted's plugins the way twistd does, and prints their names.
LIST_PLUGINS = """\
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
print(*sorted(plugin.tapname for plugin in getPlugins(IServiceMaker)))
"""


class Findings:
    """What was looked at, and how it was."""

    def __init__(self) -> None:
        self.bad = 0

    def note(self, good: bool, text: str) -> None:
        """Print one finding."""
        print("ok  " if good else "BAD ", text, flush=True)
        self.bad += not good


class Environment:
    """A throw-away virtual environment."""

    def __init__(self, directory: Path) -> None:
        venv.create(directory, with_pip=True)
        self.directory = directory
        self.python = directory / "bin" / "python"
        self.site = Path(
            self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))")[1]
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run this environment's Python outside the checkout: (status, output, errors)."""
        return self.call(str(self.python), *arguments)

    def call(self, *command: str) -> tuple[int, str, str]:
        """Run ``command`` with the environment as working directory: (status, output, errors)."""
        done = subprocess.run(
            command,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=600,
        )
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def pip(self, *arguments: str) -> None:
        """Run pip; its output is shown when it fails."""
        status, output, errors = self.run("-m", "pip", "--disable-pip-version-check", *arguments)
        if status:
            print(output, errors, sep="\n", file=sys.stderr)
            raise SystemExit(f"pip {arguments[0]} failed")

    def own_files(self) -> list[str]:
        """What in site-packages bears this project's name, compiled files left out."""
        names = (path.relative_to(self.site) for path in self.site.rglob("*stunnel*"))
        return sorted(str(name) for name in names if "__pycache__" not in name.parts)


def build(directory: Path) -> tuple[Path, Path]:
    """Build from a copy of the tree: (sdist, wheel); the wheel is made from the sdist."""
    tree, out = directory / "tree", directory / "out"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
    command = [sys.executable, "-m", "build", "--outdir", str(out), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise SystemExit("python -m build failed")
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def check_sdist(sdist: Path, findings: Findings) -> None:
    """The sdist carries what a distributor needs, and nothing that was lying about."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "LICENSE",
        "README.md",
        "Makefile",
        "tox.ini",
        "tests/__init__.py",
        "docs/conf.py",
    ):
        findings.note(name in names, f"sdist has {name}")
    findings.note(PLUGIN in names, f"sdist has {PLUGIN}")
    litter = [name for name in names if name.endswith((".pyc", "dropin.cache"))]
    findings.note(not litter, f"sdist has no litter {litter or ''}")


def check_wheel(wheel: Path, findings: Findings) -> None:
    """The wheel has the package, one file of Twisted's plugin package, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    ours = {name for name in names if name.startswith("twisted/")}
    findings.note(ours == {PLUGIN}, f"wheel adds one file to twisted/: {sorted(ours)}")
    folders = {name.split("/")[0] for name in names if ".dist-info" not in name.split("/")[0]}
    findings.note(folders == {"stunnel_tx", "twisted"}, f"wheel has two folders: {sorted(folders)}")
    findings.note("stunnel_tx/py.typed" in names, "wheel is marked as typed")
    missing = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "stunnel_tx").rglob("*.py")
        if str(path.relative_to(ROOT)) not in names
    ]
    findings.note(not missing, f"wheel has every module {missing or ''}")


def check_installed(environment: Environment, findings: Findings) -> None:
    """The installed program starts from anywhere, under each of its names."""
    status, output, errors = environment.call(
        str(environment.directory / "bin" / "stunnel-tx"), "-version"
    )
    findings.note(status == 0, f"stunnel-tx -version exits with {status}")
    findings.note(not output and "OpenSSL" in errors, "stunnel-tx -version writes to stderr only")
    status, _, errors = environment.run("-m", "stunnel_tx", "-version")
    findings.note(status == 0 and "OpenSSL" in errors, "python -m stunnel_tx -version works")
    status, output, _ = environment.call(
        str(environment.directory / "bin" / "twistd"), "stunnel", "--help"
    )
    findings.note(status == 0 and "--config" in output, "twistd stunnel --help works")
    status, output, errors = environment.run("-c", LIST_PLUGINS)
    findings.note("stunnel" in output.split(), f"twistd lists the plugin ({output})")
    findings.note(status == 0 and not errors, f"reading the plugins is silent {errors}")


def check_uninstalled(
    environment: Environment, plugins_before: str, twisted_before: set[str], findings: Findings
) -> None:
    """Nothing of ours is left, and Twisted is as it was, its plugin cache included."""
    left = environment.own_files()
    findings.note(not left, f"nothing is left in site-packages {left or ''}")
    missing = twisted_before - twisted_files(environment)
    findings.note(not missing, f"no file of Twisted is missing {sorted(missing) or ''}")
    for reading in ("first", "second"):
        status, output, errors = environment.run("-c", LIST_PLUGINS)
        findings.note(
            status == 0 and output == plugins_before and not errors,
            f"{reading} reading of the plugins afterwards: as before the installation {errors}",
        )
    cache = environment.site / "twisted" / "plugins" / "dropin.cache"
    named = cache.exists() and b"stunnel_tx_plugin" in cache.read_bytes()
    findings.note(not named, "dropin.cache does not name the plugin")
    status, _, errors = environment.call(str(environment.directory / "bin" / "twistd"), "--help")
    findings.note(status == 0 and not errors, f"twistd --help works {errors}")


def twisted_files(environment: Environment) -> set[str]:
    """Every Python source file of the Twisted that is installed there."""
    root = environment.site / "twisted"
    return {str(path.relative_to(root)) for path in root.rglob("*.py")}


def main() -> int:
    """Build, install, look, uninstall, look again."""
    findings = Findings()
    with TemporaryDirectory(prefix="stunnel_tx_packaging.") as name:
        directory = Path(name)
        sdist, wheel = build(directory)
        check_sdist(sdist, findings)
        check_wheel(wheel, findings)
        environment = Environment(directory / "environment")
        environment.pip("install", "--quiet", "twisted")
        plugins_before = environment.run("-c", LIST_PLUGINS)[1]
        twisted_before = twisted_files(environment)
        environment.pip("install", "--quiet", str(wheel))
        environment.pip("check")
        check_installed(environment, findings)
        environment.pip("uninstall", "--quiet", "--yes", "stunnel_tx")
        check_uninstalled(environment, plugins_before, twisted_before, findings)
    print(f"{findings.bad} bad finding(s)")
    return int(findings.bad > 0)


if __name__ == "__main__":
    sys.exit(main())
