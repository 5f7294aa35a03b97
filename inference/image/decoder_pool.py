"""Decoding in processes of its own: a stream that ends its decoder ends nothing else.

Native decoders abort, swell or never end on some damaged streams, and no thread survives that. A
decoder process has limits of memory and of computing, is used again for the next frame, and is
started again when one ended it (docs/decisions/053-decoder-processes.md).
"""

import atexit
import math
import os
import signal
import subprocess
import sys
from contextlib import suppress
from io import BufferedReader, BufferedWriter
from threading import BoundedSemaphore, Lock, Timer
from typing import Any, cast

import numpy as np
from pydicom.dataset import Dataset

from inference.image import decoder_process
from inference.image.codecs import StoredPixels
from inference.image.undecodable import NotAFilm, undecodable

# what a frame may compute: the slowest decoder takes a tenth of it on a machine of today
SECONDS, SECONDS_A_MEGAPIXEL = 30, 6
# and how long it may take while it computes nothing
WAITING_SECONDS = 1800
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
# -P: no folder of the caller's on its path
COMMAND = (sys.executable, "-P", "-m", decoder_process.__name__)
_TRIES = 2  # one was perhaps killed while it had nothing to do
_ENDING_SECONDS = 10
_NO_REPLY = 1  # an exit code for a process that wrote something else
_WIDEST = 4  # bytes of a sample
_KINDS = ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4")


class NoDecoder(RuntimeError):
    """No decoder process can be started, or is left alone; that says nothing of the film."""


class _Ended(Exception):
    """A decoder process ended before its reply; ``code`` is how."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Decoder:
    """One decoder process, and the pipes to it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for the process that waits for it
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        self._requests = cast("BufferedWriter", self._process.stdin)
        self._replies = cast("BufferedReader", self._process.stdout)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, header: dict[str, Any], coded: bytes, longest: int) -> decoder_process.Message:
        """Send a request and return its reply. Raises `_Ended` when there is none."""
        hangs = Timer(WAITING_SECONDS, self._process.send_signal, [signal.SIGXCPU])
        hangs.start()
        try:
            decoder_process.send(self._requests, header, coded)
            reply = decoder_process.receive(self._replies, longest)
        except BrokenPipeError:
            reply = None
        except ValueError:
            self.end()
            raise _Ended(_NO_REPLY) from None
        finally:
            hangs.cancel()
        if reply is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDING_SECONDS)
            raise _Ended(self.end())
        return reply

    def end(self) -> int:
        """End the process, if it has not; return how it ended."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._requests.close()
        self._replies.close()
        return self._process.wait()


class DecoderPool:
    """Decoder processes, one for each frame that is being decoded. Safe from many threads.

    Parameters
    ----------
    at_once
        Frames that may be decoded at a time; others wait. By default one a core.
    """

    def __init__(self, at_once: int = os.cpu_count() or 1) -> None:
        self._places = BoundedSemaphore(at_once)
        self._lock = Lock()
        self._idle: list[_Decoder] = []

    def decode(self, frame: Dataset, coded: bytes, levels: int) -> StoredPixels:
        """Decode one frame to (rows, columns) or (rows, columns, 3), as `decode_apart`.

        Raises
        ------
        NotAFilm, NoDecoder
            As there.
        """
        with self._places:
            for _ in range(_TRIES):
                decoder = self._take()
                try:
                    reply = _decoded(decoder, frame, coded, levels)
                except _Ended as ended:
                    if -ended.code in _FROM_OUTSIDE:
                        continue
                    raise undecodable(frame.file_meta.TransferSyntaxUID, _why(ended)) from None
                with self._lock:
                    self._idle.append(decoder)
                if isinstance(reply, NotAFilm):
                    raise reply
                return reply
        raise NoDecoder("decoder processes are ended from outside: is the memory used up?")

    def _take(self) -> _Decoder:
        with self._lock:
            while self._idle:
                decoder = self._idle.pop()
                if decoder.alive:
                    return decoder
                decoder.end()
        try:
            return _Decoder()
        except OSError as error:
            raise NoDecoder(f"no decoder process can be started: {error.strerror}") from error

    def end(self) -> None:
        """End the processes that decode nothing now."""
        with self._lock:
            while self._idle:
                self._idle.pop().end()


def _decoded(
    decoder: _Decoder, frame: Dataset, coded: bytes, levels: int
) -> StoredPixels | NotAFilm:
    """Return what a decoder process made of a frame. Raises `_Ended` when it made nothing."""
    pixels = frame.Rows * frame.Columns * frame.SamplesPerPixel
    seconds = math.ceil(SECONDS + pixels / 1e6 * SECONDS_A_MEGAPIXEL)
    request = decoder_process.request(frame, levels, seconds)
    header, content = decoder.ask(request, coded, _WIDEST * pixels)
    try:
        if "refused" in header:
            return NotAFilm(header["refused"])
        kind = _KINDS[_KINDS.index(header["dtype"])]
        made: StoredPixels = np.frombuffer(content, kind).reshape(header["shape"])
    except (KeyError, TypeError, ValueError):  # a stream has taken it over
        decoder.end()
        raise _Ended(_NO_REPLY) from None
    return made


def _why(ended: _Ended) -> str:
    if ended.code == -signal.SIGXCPU:
        return "that takes longer than any film"
    return "they crashed the decoder"


_pool = DecoderPool()


def _after_fork() -> None:
    """Leave the parent's decoder processes to the parent."""
    global _pool  # noqa: PLW0603
    _pool = DecoderPool()


def _at_exit() -> None:
    _pool.end()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def decode_apart(frame: Dataset, coded: bytes, levels: int = 0) -> StoredPixels:
    """Decode a frame as `inference.image.codecs.decode`, in a decoder process.

    Returns
    -------
    array
        (rows, columns), or (rows, columns, 3) of a frame in colour: 8 or 16 bits.

    Raises
    ------
    NotAFilm
        No decoder can read it; or it crashed its decoder, or takes more memory or computing than
        any film.
    NoDecoder
        Decoder processes cannot be started, or are ended from outside, so that nothing is known
        of the film.
    """
    return _pool.decode(frame, coded, levels)
