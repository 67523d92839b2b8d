"""Test doubles shared by the whole suite."""
