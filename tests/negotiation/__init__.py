"""Tests of the negotiations before TLS."""

from __future__ import annotations
