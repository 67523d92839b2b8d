"""Tests of stunnel_tx.configuration."""
