"""Reproducible speech synthesis by the espeak-ng library, through ctypes.

Functions and constants are those of espeak-ng's ``speak_lib.h``.
"""

import ctypes
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jobs.optional_packages import ESPEAK

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000  # espeak_AUDIO_OUTPUT, option of espeak_Initialize
_RATE, _VOLUME, _PITCH = 1, 2, 3  # espeak_PARAMETER
_POSITION_CHARACTER, _UTF8 = 1, 1
_QUIET = 40  # of 100: no variant clips
_BUFFER_MS = 1_000
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The initialised library; made by ``open_espeak``, for one thread at a time."""

    def __init__(self, library: ctypes.CDLL, sample_rate: int, thread: Executor) -> None:
        self.sample_rate = sample_rate
        """Sample rate of the speech, in Hz."""
        self._library = library
        self._thread = thread
        self._chunks: list[bytes] = []
        self._raised: BaseException | None = None
        # Kept on the object: the library calls it for as long as it speaks.
        self._callback = _CALLBACK(self._collect)
        library.espeak_SetSynthCallback(self._callback)

    def say(
        self, text: str, voice: str, pitch: int, words_per_minute: float
    ) -> npt.NDArray[np.int16]:
        """Synthesise a whole sentence.

        Args:
            text: words; a full stop is added, which gives the sentence its melody.
            voice: ``ACCENT+VARIANT``; the library quietly ignores a variant that it does not know.
            pitch: 0 to 99; 50 is the variant's default.
            words_per_minute: 80 to 450.

        Returns:
            (N,) samples at ``sample_rate``.

        Raises:
            RuntimeError: the library rejects the voice or the text.
            BaseException: an exception that a signal handler raised meanwhile; the library then
                stops soon.
        """
        # Run in a separate thread: signal handlers run in the main thread, and ctypes drops an
        # exception that they raise inside a callback, together with a chunk of the audio.
        try:
            return self._thread.submit(self._speak, text, voice, pitch, words_per_minute).result()
        except BaseException as error:
            self._raised = error
            raise

    def _speak(
        self, text: str, voice: str, pitch: int, words_per_minute: float
    ) -> npt.NDArray[np.int16]:
        self._chunks.clear()
        self._raised = None
        self._call("espeak_SetVoiceByName", voice.encode())
        self._call("espeak_SetParameter", _RATE, round(words_per_minute), 0)
        self._call("espeak_SetParameter", _PITCH, pitch, 0)
        self._call("espeak_SetParameter", _VOLUME, _QUIET, 0)
        # Upper-case words might be spelled out.
        spoken = f"{text.lower()}.".encode() + b"\0"
        size = ctypes.c_size_t(len(spoken))
        self._call("espeak_Synth", spoken, size, 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
        return np.frombuffer(b"".join(self._chunks), dtype=np.int16)

    def _collect(
        self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int | None
    ) -> int:
        """Keep a chunk of samples; return 1 to stop the library, 0 to continue."""
        try:
            if samples and count > 0:
                self._chunks.append(ctypes.string_at(samples, 2 * count))
        except BaseException as error:  # noqa: BLE001 - raised again when the library has returned
            self._raised = error
        return int(self._raised is not None)

    def _call(self, function: str, *arguments: object) -> None:
        status = getattr(self._library, function)(*arguments)
        if self._raised is not None:
            raise self._raised
        if status != 0:
            raise RuntimeError(f"espeak-ng: {function}{arguments} gave status {status}")


@contextmanager
def open_espeak(seed: int) -> Iterator[Espeak]:
    """Load the library with a state of its own, as in a new process.

    The library has global state (the phase of the pitch flutter, random numbers) that cannot be
    reset, so that its output depends on all earlier calls. A fresh copy of the library file is
    therefore loaded each time, which the loader treats as another library: the same calls in the
    same order give the same samples in any process, even if other code uses espeak-ng there. The
    copy (under 1 MB) stays loaded.

    Raises:
        MissingPackageError: espeakng-loader is not installed.
        RuntimeError: the library does not find its data.
    """
    espeakng_loader = ESPEAK.load()
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        library = ctypes.CDLL(shutil.copy(espeakng_loader.get_library_path(), folder))
        # The library truncates data paths of more than about 155 characters, and that of a virtual
        # environment may be longer.
        data = Path(folder) / "espeak-ng-data"
        data.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
        sample_rate = library.espeak_Initialize(
            _SYNCHRONOUS, _BUFFER_MS, str(data).encode(), _DONT_EXIT
        )
        if sample_rate <= 0:
            raise RuntimeError(
                f"espeak-ng did not start: expected its data in {data}, a link to "
                f"{espeakng_loader.get_data_path()}; reinstall espeakng-loader, or set TMPDIR to "
                "a shorter path"
            )
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        with ThreadPoolExecutor(1, "espeak") as thread:
            # Start the only thread now: a signal while the first sentence starts it would make the
            # next sentence start a second thread, which the library does not support.
            thread.submit(int).result()
            yield Espeak(library, sample_rate, thread)
        library.espeak_Terminate()
