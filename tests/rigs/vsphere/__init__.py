"""A vCenter for tests; see rig.py."""
