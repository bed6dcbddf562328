"""Its place makes this directory importable: tests at any depth say `from loopback import LoopbackServer`."""
