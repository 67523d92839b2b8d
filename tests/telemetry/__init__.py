"""Tests of stunnel_tx.telemetry."""

from __future__ import annotations
