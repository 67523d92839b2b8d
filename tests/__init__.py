"""The unit suite: ``python -m twisted.trial tests``; it mirrors stunnel_tx path for path."""
