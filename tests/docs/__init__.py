"""The documentation is executed: what it shows works, what it names exists, what exists is named."""
