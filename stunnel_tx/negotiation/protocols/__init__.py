"""One module for each protocol; none imports another."""
