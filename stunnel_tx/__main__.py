"""``python -m stunnel_tx`` is the command ``stunnel-tx``."""

from __future__ import annotations

import sys

from stunnel_tx.cli import main

if __name__ == "__main__":
    sys.exit(main())
