"""Its place makes this directory importable: tests at any depth say `from loopback import LoopbackServer`."""

from __future__ import annotations

import signal

# A shell has what it runs in the background ignore Ctrl-C, and children inherit that: tests that send one to a process
# of their own would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
