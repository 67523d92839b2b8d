"""Side-by-side measurements of this program, stunnel, haproxy and hitch on one machine.

A **metric** names one kind of work and has one or more **figures**. A **program** is started with
a configuration for one **setting**, a **generator** puts load on it through real sockets, and a
**backend** answers behind it; only the CPU time and memory of the program itself are counted. The
values of several **rounds** become medians, and those become a **table**.
"""
