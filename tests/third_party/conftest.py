"""These packages are strangers here: `test_third_party.py` installs copies of them, and their tests run over there."""

collect_ignore_glob = ["artgen-*"]
