"""The only package that touches private symbols of pyOpenSSL and cryptography.

It is a package rather than one file because its parts have different lives: what this
installation can do (``capabilities``), set-up of contexts and questions to connections
(``contexts``), and the per-record calls of the relay (``records``). Every private symbol is
looked up with a guard, and its absence leads to a public call or to an honest ``None``.
"""
