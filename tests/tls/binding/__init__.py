"""Tests of the private OpenSSL binding."""
