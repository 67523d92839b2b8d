"""Black-box tests with real programs; one behaviour per file, and the file's name says which.

Each test starts what it needs in a folder of its own, on free loopback ports, and stops it again.
A program that is missing is a reason to skip, or a failure where ``STUNNEL_TX_INTEROP`` is 1.
"""
