"""Tests of the measurements: what is pure in them, and one short run of each kind of load."""
