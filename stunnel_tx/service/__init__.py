"""The composition root: builds everything from the configuration and keeps it alive.

Concepts: the *application* (services, contexts, listeners), its *lifecycle* in the process
(start, signals, reload, stop) and the *logs* it speaks through. This is the only package that
reads the configuration; every other one is handed frozen values of its own.
"""
