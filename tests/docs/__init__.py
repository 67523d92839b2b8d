"""Tests of what the documentation is made with."""

from __future__ import annotations
