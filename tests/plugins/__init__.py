"""Tests of what third parties may add."""

from __future__ import annotations
