"""What every table of options must keep, for the test case of each table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.configuration.option import Context, Option
from stunnel_tx.configuration.values import InvalidValue
from tests.configuration.option_samples import ANYTHING_GOES, SAMPLES

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase

__all__ = ["check_bad_values", "check_good_values"]


def check_good_values(case: SynchronousTestCase, table: tuple[Option, ...]) -> None:
    """Read each good sample of each option and compare the value."""
    for option in table:
        samples = SAMPLES[option.name].good
        case.assertTrue(samples, f"no good value for {option.name}")
        for given, value in samples:
            read = option.read(given, Context())
            case.assertEqual(read, value, f"{option.name} = {given}")
            case.assertIs(type(read), type(value), f"{option.name} = {given}")


def check_bad_values(case: SynchronousTestCase, table: tuple[Option, ...]) -> None:
    """See each bad sample of each option refused, with a reason and a remedy."""
    for option in table:
        samples = SAMPLES[option.name].bad
        case.assertEqual(bool(samples), option.name not in ANYTHING_GOES, option.name)
        for given in samples:
            try:
                read = option.read(given, Context())
            except InvalidValue as error:
                case.assertTrue(error.reason, option.name)
                case.assertTrue(error.remedy, option.name)
            else:
                case.fail(f"{option.name} = {given!r} was read as {read!r}")
