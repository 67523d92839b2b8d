"""The demonstration behind ``make run``: a page that tells its visitors how they came in.

Three concepts:

* the *page* (``page``): the visitor's TLS facts as HTML or plain text;
* the *back end* (``backend``): a small, plain HTTP/1.1 server for that page;
* the *certificate* (``certificate``): a throw-away one, made anew at every start.

``__main__`` writes a ``stunnel.conf`` that joins them and hands it to the ordinary command line, so
what runs is the real program: visitor, TLS, tunnel, back end, page.
"""

from __future__ import annotations
