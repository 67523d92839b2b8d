"""Tests of the relay."""

from __future__ import annotations
