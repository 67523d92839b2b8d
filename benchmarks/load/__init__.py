"""The load generator: ``python -m benchmarks.load JSON``, one process of possibly several.

It opens what it needs and prints ``ready``; on a line from its standard input it starts, and at
the end it prints its result as one line of JSON. A generator that is slower than the program
under test lowers the load and does not touch the CPU time of the program.
"""
