"""Tests of the TLS package."""
