"""Tests of stunnel_tx.configuration.loader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.addresses import EndpointString, HostPort, UnixPath
from stunnel_tx.configuration.loader import (
    descriptor_source,
    examine,
    file_source,
    load,
    text_source,
)
from stunnel_tx.configuration.model import Configuration, Problem, Severity
from stunnel_tx.configuration.options import OPTIONS
from stunnel_tx.errors import ConfigurationErrors
from tests.configuration.option_samples import SAMPLES

if TYPE_CHECKING:
    import random

SAMPLE_FILES = Path(__file__).parent / "samples"
CLIENT = "[x]\nclient = yes\naccept = 80\nconnect = h:443\n"


def load_text(text: str) -> Configuration:
    """Load a configuration from a text."""
    return load(text_source(text.encode(), "f"))


class LoadTests(SynchronousTestCase):
    """Good configurations."""

    def test_services(self) -> None:
        """A file with sections is its global part and its services, in order."""
        configuration = load_text(f"service = d\npid = /p\n{CLIENT}{CLIENT.replace('x', 'y', 1)}")
        self.assertEqual([s.name for s in configuration.services], ["x", "y"])
        self.assertEqual(configuration.globals.name, "")
        self.assertEqual(configuration.globals["pid"], "/p")
        self.assertEqual(configuration.globals["service"], "d")
        self.assertIsNone(configuration.inetd)
        self.assertEqual(configuration.source, "f")

    def test_service_options_above(self) -> None:
        """The global part answers for service options given there."""
        configuration = load_text(f"setuid = nobody\n{CLIENT}")
        self.assertEqual(configuration.globals["setuid"], "nobody")
        self.assertEqual(configuration.services[0]["setuid"], "nobody")

    def test_inetd(self) -> None:
        """A file without sections is one service for a connection at stdin."""
        configuration = load_text("pid = /p\nclient = yes\nconnect = h:443\n")
        assert configuration.inetd is not None
        self.assertEqual(configuration.services, ())
        self.assertEqual(configuration.inetd.name, "stunnel")
        self.assertNotIn("pid", configuration.inetd)
        self.assertEqual(configuration.globals["pid"], "/p")

    def test_inetd_name(self) -> None:
        """In inetd mode the service option names the service."""
        configuration = load_text("service = inetd\nclient = yes\nconnect = h:443\n")
        assert configuration.inetd is not None
        self.assertEqual(configuration.inetd.name, "inetd")

    def test_notes(self) -> None:
        """Warnings do not keep a configuration from loading."""
        (note,) = load_text(f"EGD = /x\n{CLIENT}").notes
        self.assertEqual(note.severity, Severity.WARNING)
        self.assertIn("f:1: EGD: ignored", str(note))

    def test_byte_order_mark(self) -> None:
        """The configuration tells whether its file began with a mark."""
        self.assertTrue(load_text(f"\ufeff{CLIENT}").byte_order_mark)
        self.assertFalse(load_text(CLIENT).byte_order_mark)

    def test_endpoint_kinds(self) -> None:
        """The caller says which endpoint strings there are."""
        source = text_source(CLIENT.replace("h:443", "onion:x").encode(), "f")
        (service,) = load(source, endpoint_kinds=frozenset({"onion"})).services
        self.assertEqual(service["connect"], (EndpointString("onion", "onion:x"),))


class SampleFileTests(SynchronousTestCase):
    """Realistic files."""

    def sample(self, name: str) -> Configuration:
        """Load one of the files kept beside the tests."""
        return load(file_source(str(SAMPLE_FILES / name)))

    def test_all_load(self) -> None:
        """Every sample file loads."""
        names = sorted(path.name for path in SAMPLE_FILES.glob("*.conf"))
        self.assertGreaterEqual(len(names), 4)
        for name in names:
            self.assertTrue(self.sample(name).services, name)

    def test_server(self) -> None:
        """The server file: defaults from above, lists and paths of its own."""
        https, imaps, partners = self.sample("server.conf").services
        self.assertEqual(https["accept"], (HostPort("::", 443, ":::443"),))
        self.assertEqual((https["TIMEOUTclose"], imaps["TIMEOUTclose"]), (0, 60))
        self.assertEqual(imaps["connect"][0].port, "imap2")
        self.assertEqual(partners["connect"], (UnixPath("/run/partners/api.sock"),))
        self.assertEqual(partners["checkHost"], ("one.partner.example", "two.partner.example"))
        self.assertTrue(partners["requireCloseNotify"])
        self.assertTrue(partners["verification"].chain)
        self.assertEqual(https["cert"], ("/etc/stunnel/public-chain.pem",))

    def test_client(self) -> None:
        """The client file: two targets, brackets, an empty sni, a pinned peer."""
        redis, ldaps, pinned = self.sample("client.conf").services
        self.assertEqual(redis["connect"][0].host, "cache-1.example.net")
        self.assertEqual((redis["failover"], redis["delay"]), ("rr", True))
        self.assertEqual((ldaps["sni"], ldaps["checkIP"]), (("",), ("2001:db8::17",)))
        self.assertEqual((pinned["verification"].chain, pinned["verification"].pin), (False, True))

    def test_windows(self) -> None:
        """The file from Windows: mark, CR LF, old names, blanks in a section's name."""
        configuration = self.sample("windows.conf")
        (service,) = configuration.services
        self.assertTrue(configuration.byte_order_mark)
        self.assertEqual(service.name, " mail out ")
        self.assertEqual((service["sessionCacheTimeout"], service["curves"]), (600, "X25519:P-256"))
        self.assertEqual(len(configuration.notes), 2)

    def test_endpoints(self) -> None:
        """The file with endpoint strings: kinds known, and kept as written."""
        activated, balanced = self.sample("endpoints.conf").services
        self.assertEqual(activated["accept"][0].kind, "systemd")
        self.assertEqual([type(a) for a in balanced["accept"]], [EndpointString, HostPort])


class ErrorTests(SynchronousTestCase):
    """Bad configurations."""

    def errors(self, text: str) -> list[str]:
        """Return all errors of a text, as the operator sees them."""
        error = self.assertRaises(ConfigurationErrors, load_text, text)
        for problem in error.problems:
            assert isinstance(problem, Problem)
            self.assertTrue(problem.remedy, problem.text)
        return [str(problem) for problem in error.problems]

    def test_all_at_once(self) -> None:
        """All errors come together, in the order of their lines."""
        errors = self.errors("debug = 9\nflaw\n[x]\naccept = 1\nreset = 1\n[y]\nfoo = 1\n")
        places = [error.split(": ")[0] for error in errors]
        self.assertEqual(places, ["f:1", "f:2", "f:3", "f:3", "f:5", "f:6", "f:6", "f:7"])

    def test_over_files(self) -> None:
        """Errors of included files follow those of the file that includes them."""
        root = Path(self.mktemp()).absolute()
        root.mkdir()
        (root / "a.conf").write_text("reset = 1\n")
        (root / "b.conf").write_text("client = 1\n")
        errors = self.errors(f"debug = 9\ninclude = {root}\nsyslog = 1\n{CLIENT}")
        places = [error.split(": ")[0] for error in errors]
        self.assertEqual(places, ["f:1", "f:3", f"{root}/a.conf:1", f"{root}/b.conf:1"])

    def test_included_twice(self) -> None:
        """A file read twice has its errors once, where it was read first."""
        root = Path(self.mktemp()).absolute()
        for name in ("one", "two"):
            (root / name).mkdir(parents=True)
            (root / name / "a.conf").write_text("reset = 1\n")
        includes = "".join(f"include = {root}/{name}\n" for name in ("one", "two", "one"))
        places = [error.split(": ")[0] for error in self.errors(f"{includes}{CLIENT}")]
        self.assertEqual(places, [f"{root}/one/a.conf:1", f"{root}/two/a.conf:1"])

    def test_missing_file(self) -> None:
        """A file that cannot be read is one error, not an empty configuration."""
        source = file_source("/nonexistent/stunnel.conf")
        error = self.assertRaises(ConfigurationErrors, load, source)
        self.assertEqual(len(error.problems), 1)
        self.assertIn("/nonexistent/stunnel.conf", str(error))

    def test_bad_descriptor(self) -> None:
        """A descriptor nobody opened is one error."""
        error = self.assertRaises(ConfigurationErrors, load, descriptor_source(99_999))
        self.assertEqual(len(error.problems), 1)

    def test_inherited_error_once(self) -> None:
        """A refused option of the global part is reported once for all its sections."""
        text = f"libwrap = yes\n{CLIENT}{CLIENT.replace('x', 'y', 1)}"
        (error,) = self.errors(text)
        self.assertIn("f:1: libwrap: not supported yet", error)

    def test_overridden(self) -> None:
        """An option that every section takes back is no error."""
        self.assertEqual(len(load_text(f"libwrap = yes\n{CLIENT}libwrap = no\n").services), 1)

    def test_objections(self) -> None:
        """Every option that cannot be had is refused by name at its line; no other is."""
        for option in OPTIONS:
            for given_text, value in SAMPLES[option.name].good:
                if option.name == "include":
                    continue
                text = f"{option.name} = {given_text}\n{CLIENT}"
                errors = examine(text_source(text.encode(), "f")).errors
                here = [e.text for e in errors if e.option == option.name]
                objection = option.objection(value)
                if objection is not None:
                    self.assertIn(objection[0], here, f"{option.name} = {given_text}")
                else:
                    self.assertNotIn(
                        "not supported", "".join(here), f"{option.name} = {given_text}"
                    )

    def test_examine(self) -> None:
        """An examination returns what was understood next to the errors."""
        examination = examine(text_source(f"debug = 9\n{CLIENT}".encode(), "f"))
        self.assertEqual(len(examination.errors), 1)
        self.assertEqual(len(examination.configuration.services), 1)


class PropertyTests(SynchronousTestCase):
    """Configurations nobody thought of."""

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=200))
    def test_random_bytes(self, data: bytes) -> None:
        """Random bytes load or are refused with reasons."""
        try:
            load(text_source(data, "f"))
        except ConfigurationErrors as error:
            self.assertTrue(error.problems)

    @settings(deadline=None, max_examples=100)
    @given(st.randoms(use_true_random=False))
    def test_random_options(self, source: random.Random) -> None:
        """Any mixture of good and bad lines of known options is loaded or refused."""
        lines = ["[x]"] if source.random() < 0.3 else []
        for _ in range(source.randrange(12)):
            option = source.choice([option for option in OPTIONS if option.name != "include"])
            sample = SAMPLES[option.name]
            texts = [*(text for text, _ in sample.good), *sample.bad]
            lines.append(f"{option.name} = {source.choice(texts)}")
            if source.random() < 0.2:
                lines.append(f"[{source.choice('abc')}]")
        examination = examine(text_source("\n".join(lines).encode(), "f"))
        for error in examination.errors:
            self.assertTrue(error.remedy, str(error))
