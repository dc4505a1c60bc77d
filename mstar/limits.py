"""A limit on the time that somebody else's code may take: a verifier, a reward."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitError(Exception):
    """What ran took longer than it may."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt what runs inside after ``seconds`` of wall time.

    On the main thread by an alarm, which also ends a wait for a lock, a socket or a pattern that backtracks; on another
    thread by an exception that arrives at its next line of Python. Code that neither waits nor comes back to Python
    cannot be ended from inside its process: give such a verifier a worker (`mstar.answers.symbolic`).

    Raises:
        TimeLimitError: If it took longer.
    """
    if seconds <= 0:
        raise ValueError(f"a time limit of {seconds} s leaves no time; give more than 0.")
    on_main = threading.current_thread() is threading.main_thread()
    with _by_alarm(seconds) if on_main else _by_exception(seconds):
        yield


@contextmanager
def _by_alarm(seconds: float) -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TimeLimitError(f"took more than {seconds:g} s")

    handler = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


@contextmanager
def _by_exception(seconds: float) -> Iterator[None]:
    thread, lock, over = threading.get_ident(), threading.Lock(), False
    send = ctypes.pythonapi.PyThreadState_SetAsyncExc

    def interrupt() -> None:
        with lock:
            if not over:
                send(ctypes.c_ulong(thread), ctypes.py_object(TimeLimitError))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except TimeLimitError:
        raise TimeLimitError(f"took more than {seconds:g} s") from None
    finally:
        with lock:
            over = True
            send(ctypes.c_ulong(thread), None)  # one that was sent and has not arrived yet
        timer.cancel()
