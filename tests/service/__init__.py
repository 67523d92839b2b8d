"""Tests of stunnel_tx.service."""

from __future__ import annotations
