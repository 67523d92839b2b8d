"""Tests of the tunnels."""

from __future__ import annotations
