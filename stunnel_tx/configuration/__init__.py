"""The configuration file: from bytes to checked, frozen values.

Concepts, in the direction of flow: a *source* is expanded into *lines*; lines fill
*scopes* (the global part and one per section) with the values their *options* define;
*rules* check what they come to; a *configuration* leaves, or the list of all *problems*.

:func:`stunnel_tx.configuration.loader.load` is the way in.  Only the composition root and
the command line read the result.

Records that nobody compares or prints are declared with ``eq=False, repr=False``: attrs
compiles those methods when a module is imported, half a millisecond for each class.
"""
