"""The eight log levels, the facilities, and their names (those of syslog, RFC 5424 §6.2.1)."""

from __future__ import annotations

EMERG, ALERT, CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = range(8)

LEVEL_NAMES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

#: How a start-up failure marks each level on stderr, as stunnel does.
LEVEL_MARKS = ("*", "*", "*", "!", ":", ".", " ", " ")

#: Facility codes of RFC 5424 §6.2.1, by the names ``debug`` takes.
FACILITIES = {
    "kern": 0,
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "syslog": 5,
    "lpr": 6,
    "news": 7,
    "uucp": 8,
    "cron": 9,
    "authpriv": 10,
    "ftp": 11,
    "ntp": 12,
    **{f"local{number}": 16 + number for number in range(8)},
}

DEFAULT_FACILITY = "daemon"
