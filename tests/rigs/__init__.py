"""Servers that stand in for clouds in the tests, started by them on loopback."""
