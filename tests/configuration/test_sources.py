"""Tests of stunnel_tx.configuration.sources, with real directories."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration import sources
from stunnel_tx.configuration.lexer import Assignment, Header
from stunnel_tx.configuration.sources import (
    MAX_DEPTH,
    Expansion,
    descriptor_source,
    expand,
    file_source,
    text_source,
)


def shape(expansion: Expansion) -> list[str]:
    """Return the lines of an expansion as text."""
    return [
        f"[{item.name}]" if isinstance(item, Header) else f"{item.name}={item.value}"
        for item in expansion.items
    ]


class DirectoryCase(SynchronousTestCase):
    """A case with a directory of its own."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()

    def write(self, name: str, text: str) -> Path:
        """Write one file below the root."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def expand(self, text: str) -> Expansion:
        """Expand a text in which DIR stands for the root."""
        return expand(text_source(text.replace("DIR", str(self.root)).encode(), "main.conf"))


class SourceTests(DirectoryCase):
    """Files, descriptors and texts."""

    def test_file(self) -> None:
        """A file source names its absolute path and reads anew each time."""
        path = self.write("a.conf", "a=1\n")
        source = file_source(os.path.relpath(path))
        self.assertEqual((source.kind, source.name), ("file", str(path)))
        self.assertEqual(shape(expand(source)), ["a=1"])
        path.write_bytes(b"a=2\n")
        self.assertEqual(shape(expand(source)), ["a=2"])

    def test_symbolic_link(self) -> None:
        """A link is resolved once, when the source is made."""
        path = self.write("a.conf", "a=1\n")
        link = self.root / "link.conf"
        link.symlink_to(path)
        self.assertEqual(file_source(str(link)).name, str(path))

    def test_missing_file(self) -> None:
        """A file that is not there is one problem that names it."""
        path = self.root / "none.conf"
        (problem,) = expand(file_source(str(path))).problems
        self.assertIn(str(path), str(problem))
        self.assertIn("No such file", str(problem))

    def test_directory_as_file(self) -> None:
        """A directory is no configuration file."""
        (problem,) = expand(file_source(str(self.root))).problems
        self.assertIn("Is a directory", str(problem))

    def test_descriptor(self) -> None:
        """A descriptor is read once, closed, and its text is kept for reloads."""
        reading, writing = os.pipe()
        os.write(writing, b"a=1\n")
        os.close(writing)
        source = descriptor_source(reading)
        self.assertEqual((source.kind, source.name), ("descriptor", str(reading)))
        self.assertEqual(shape(expand(source)), ["a=1"])
        self.assertRaises(OSError, os.fstat, reading)
        self.assertEqual(shape(expand(source)), ["a=1"])

    def test_bad_descriptor(self) -> None:
        """A descriptor that is not open is one problem."""
        reading, writing = os.pipe()
        os.close(reading)
        os.close(writing)
        (problem,) = expand(descriptor_source(reading)).problems
        self.assertIn("Bad file descriptor", str(problem))

    def test_too_large(self) -> None:
        """A file beyond the bound is refused instead of read."""
        self.patch(sources, "MAX_FILE_BYTES", 10)
        (problem,) = expand(file_source(str(self.write("a.conf", "a=1\n" * 3)))).problems
        self.assertIn("more than 10 bytes", str(problem))
        self.assertEqual(expand(file_source(str(self.write("b.conf", "a=123456\n")))).problems, [])

    def test_byte_order_mark(self) -> None:
        """Each file may begin with a mark; the first one's is reported."""
        self.write("a.conf", "\ufeffb=2\n")
        marked = self.expand("\ufeffa=1\ninclude=DIR\n")
        self.assertEqual((shape(marked), marked.byte_order_mark), (["a=1", "b=2"], True))
        self.assertFalse(self.expand("include=DIR\n").byte_order_mark)


class IncludeTests(DirectoryCase):
    """The directive include = DIR."""

    def test_order(self) -> None:
        """Files are taken in byte order of their names, whatever the locale."""
        for name in ("b.conf", "a.conf", "A.conf", "00.conf", "é.conf", "z"):
            self.write(name, f"n={name}")
        names = [line[2:] for line in shape(self.expand("include=DIR\n"))]
        self.assertEqual(names, ["00.conf", "A.conf", "a.conf", "b.conf", "z", "é.conf"])

    def test_order_of_odd_names(self) -> None:
        """A name that is not UTF-8 is sorted by its bytes too."""
        for name in (b"\xff", "\U0001f600".encode()):
            (self.root / os.fsdecode(name)).write_bytes(b"n=" + name)
        names = [line[2:] for line in shape(self.expand("include=DIR\n"))]
        self.assertEqual(names, ["\U0001f600", "\udcff"])

    def test_textual(self) -> None:
        """A file goes on with the open section, and a section it opens stays open."""
        self.write("a.conf", "a=1\n[y]\nb=2\n")
        expansion = self.expand("[x]\nInclude = DIR\nc=3\n")
        self.assertEqual(shape(expansion), ["[x]", "a=1", "[y]", "b=2", "c=3"])
        self.assertEqual(expansion.files, ["main.conf", str(self.root / "a.conf")])

    def test_places(self) -> None:
        """A line of an included file is placed in that file."""
        path = self.write("a.conf", "; c\na=1\n")
        (item,) = self.expand("include=DIR\n").items
        assert isinstance(item, Assignment)
        self.assertEqual(str(item.place), f"{path}:2")

    def test_relative(self) -> None:
        """A relative directory is looked up in the working directory, not beside the file."""
        self.write("sub/inner/a.conf", "a=1\n")
        main = self.write("sub/main.conf", "include = inner\n")
        self.assertIn(
            "Failed to include directory", str(expand(file_source(str(main))).problems[0])
        )
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.root / "sub")
        self.assertEqual(shape(expand(file_source(str(main)))), ["a=1"])

    def test_skipped_names(self) -> None:
        """Hidden files and backups of editors and packages are left out, with a note each."""
        skipped = (".hidden", "a~", "a.swp", "a.rpmsave", "a.rpmnew", "a.rpmorig", "a.dpkg-old")
        for name in (*skipped, "a.conf"):
            self.write(name, f"n={name}")
        expansion = self.expand("include=DIR\n")
        self.assertEqual(shape(expansion), ["n=a.conf"])
        self.assertEqual(len(expansion.notes), len(skipped))
        for name in skipped:
            self.assertTrue(any(f'{name}"' in str(note) for note in expansion.notes), name)
        self.assertEqual({str(note.place) for note in expansion.notes}, {"main.conf:1"})

    def test_only_regular_files(self) -> None:
        """Subdirectories and pipes are passed over; links to files are followed."""
        self.write("sub/a.conf", "a=1\n")
        os.mkfifo(self.root / "pipe")
        (self.root / "link").symlink_to(self.root / "sub" / "a.conf")
        (self.root / "dangling").symlink_to(self.root / "none")
        self.assertEqual(shape(self.expand("include=DIR\n")), ["a=1"])

    def test_errors_inside(self) -> None:
        """A flaw in an included file is reported at its own place, and reading goes on."""
        path = self.write("a.conf", "flaw\nb=2\n")
        expansion = self.expand("include=DIR\nc=3\n")
        self.assertEqual([str(problem.place) for problem in expansion.problems], [f"{path}:1"])
        self.assertEqual(shape(expansion), ["b=2", "c=3"])

    def test_missing_directory(self) -> None:
        """A directory that is missing or unnamed is a problem at the include line."""
        for text in ("a=1\ninclude=DIR/none\n", "a=1\ninclude=\n"):
            expansion = self.expand(text)
            (problem,) = expansion.problems
            self.assertIn("Failed to include directory", problem.text)
            self.assertEqual(str(problem.place), "main.conf:2")
            self.assertEqual(shape(expansion), ["a=1"])

    def test_unreadable_file(self) -> None:
        """A file that cannot be read is a problem; the others still count."""
        self.patch(sources, "MAX_FILE_BYTES", 4)
        self.write("a.conf", "a=12345\n")
        self.write("b.conf", "b=2\n")
        expansion = self.expand("include=DIR\n")
        self.assertIn("Failed to include a file", expansion.problems[0].text)
        self.assertEqual(shape(expansion), ["b=2"])


class DepthTests(DirectoryCase):
    """Includes within includes."""

    def chain(self, length: int) -> Expansion:
        """Expand a text that starts a chain of some nested files."""
        for index in range(length):
            following = f"include={self.root}/{index + 1}\n" if index + 1 < length else ""
            self.write(f"{index}/x.conf", f"n={index}\n{following}")
        return self.expand("include=DIR/0\n")

    def test_deepest(self) -> None:
        """A chain of 100 files, the first one counted, is read whole."""
        expansion = self.chain(MAX_DEPTH - 1)
        self.assertEqual(expansion.problems, [])
        self.assertEqual(len(expansion.items), MAX_DEPTH - 1)

    def test_too_deep(self) -> None:
        """The hundred and first file of a chain is refused in stunnel's words."""
        (problem,) = self.chain(MAX_DEPTH).problems
        self.assertIn("Include stack overflow while including", problem.text)
        self.assertIn("(maximum depth 100); recursive includes suspected", problem.text)

    def test_siblings_do_not_count(self) -> None:
        """Any number of files may stand side by side."""
        for index in range(150):
            self.write(f"{index:03}.conf", f"n={index}\n")
        self.assertEqual(len(self.expand("include=DIR\n").items), 150)

    def test_recursion(self) -> None:
        """A file that includes its own directory is told so once, not a hundred times."""
        self.write("a.conf", f"a=1\ninclude={self.root}\n")
        expansion = self.expand("include=DIR\n")
        (problem,) = expansion.problems
        self.assertIn("includes itself", problem.text)
        self.assertEqual(shape(expansion), ["a=1"])

    def test_files_in_all(self) -> None:
        """A tree that includes the same directory over and over ends at a bound."""
        self.patch(sources, "MAX_FILES", 20)
        for level in range(12):
            for name in ("a", "b"):
                self.write(f"{level}/{name}", f"include={self.root}/{level + 1}\n")
        self.write("12/x", "a=1\n")
        expansion = self.expand("include=DIR/0\n")
        self.assertEqual(len(expansion.files), 20)
        self.assertIn("More than 20 files", str(expansion.problems[0]))
