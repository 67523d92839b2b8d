"""What the program tells its operator.

Concepts: an *event* is one row of the catalogue (level and text); a *scope* is where it
happens (a connection, the main program) and knows its id and threshold; the *log* gives
finished lines to its *sinks* (stderr, a file, syslog). Flow: event -> scope -> log -> sinks.
"""
