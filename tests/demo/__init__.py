"""Tests of stunnel_tx.demo."""
