"""What the demo page says: one visitor's TLS facts, as HTML for browsers and as text for curl."""

from __future__ import annotations

from html import escape

from attrs import frozen

__all__ = ["TLSFacts", "as_html", "as_text"]

_UNKNOWN = "not known"


@frozen
class TLSFacts:
    """What the tunnel knows of one visitor's TLS connection.

    ``version`` and ``cipher`` are OpenSSL's names (``TLSv1.3``, ``TLS_AES_256_GCM_SHA384``);
    ``group`` is the key exchange group, None where the library cannot tell. ``server_name`` is the
    host name of the ClientHello (RFC 6066 section 3), ``alpn`` the protocol that was agreed on
    (RFC 7301 section 3.1); None where there is none.
    """

    version: str
    cipher: str
    group: str | None
    server_name: str | None
    alpn: str | None


def as_text(facts: TLSFacts | None) -> str:
    """The page as lines of plain text, each ``name: value``, for curl and other terminals."""
    lines = ["You have come through stunnel_tx.", ""]
    lines += [f"{name + ':':<20} {value}" for name, value in _rows(facts)]
    return "\n".join(lines) + "\n"


def as_html(facts: TLSFacts | None) -> str:
    """The page as one HTML document that loads nothing from anywhere."""
    rows = "\n".join(
        f'      <tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in _rows(facts)
    )
    return _HTML.replace("@ROWS@", rows)


def _rows(facts: TLSFacts | None) -> tuple[tuple[str, str], ...]:
    """The facts as pairs of printable text, in the order in which the page shows them."""
    if facts is None:
        return (("TLS", "nothing known: this request did not come through the tunnel"),)
    return (
        ("TLS version", _printable(facts.version)),
        ("Cipher", _printable(facts.cipher)),
        ("Key exchange group", _printable(facts.group or _UNKNOWN)),
        ("Server name (SNI)", _printable(facts.server_name or "none sent")),
        ("ALPN", _printable(facts.alpn or "none agreed on")),
    )


def _printable(text: str) -> str:
    """``text`` with everything unprintable replaced: names come from the visitor's ClientHello."""
    return "".join(character if character.isprintable() else "?" for character in text)


_HTML = """\
<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>stunnel_tx: you are through</title>
    <style>
      :root { color-scheme: light dark; font: 1.05rem/1.6 system-ui, sans-serif; }
      body { max-width: 42rem; margin: 12vh auto 0; padding: 0 1.5rem; }
      h1 { font-size: 1.9rem; line-height: 1.25; margin: 0 0 0.5rem; }
      table { border-collapse: collapse; width: 100%; margin: 2rem 0; }
      th, td { text-align: left; padding: 0.6rem 0.8rem 0.6rem 0; vertical-align: top;
        border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
      th { font-weight: 500; white-space: nowrap; opacity: 0.75; }
      td { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
      footer { font-size: 0.9rem; opacity: 0.75; }
    </style>
  </head>
  <body>
    <h1>You are through.</h1>
    <p>This page is plain HTTP. stunnel_tx put TLS in front of it, and this is what your
      connection looked like when it arrived:</p>
    <table>
@ROWS@
    </table>
    <footer>The certificate was made when the demo started and is worth nothing.
      Reload the page for a new connection.</footer>
  </body>
</html>
"""
