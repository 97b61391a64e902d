"""TOML -> a complete, typed, frozen recipe."""
