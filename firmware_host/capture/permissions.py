"""Whether this program can use Bluetooth on this computer; where not, one sentence that says what to do.

macOS ends a program that may not use Bluetooth, without an error that could be caught; so there the radio is
tried in a child process first, and its end becomes the sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from firmware_host.capture.ble import Radio
from firmware_host.errors import RadioError

CHILD = (sys.executable, "-m", "firmware_host.capture.permissions")
CHILD_S = 20.0
SAID = 3
"""Exit code of a child that wrote a sentence on stdout."""
SIGNALS = 128
"""Exit codes above are of programs that a signal ended, told by a shell; else they are negative."""
NOT_ALLOWED = (
    "macOS does not let this program use Bluetooth: allow your terminal in System Settings, Privacy & "
    "Security, Bluetooth, and start it anew."
)
ASKED = (
    "Bluetooth did not answer in time: if macOS asks whether this program may use Bluetooth, allow it; then "
    "try again."
)
BLUETOOTH = Path("/sys/class/bluetooth")


async def radio_trouble(radio: Radio, *, child: Sequence[str] | None = None) -> str | None:
    """Return why the radio cannot be used, None where it can: it has begun a scan.

    Parameters
    ----------
    child
        Command that tries the system's radio first; None: `CHILD` on macOS, nothing elsewhere.
    """
    if child is None and sys.platform == "darwin" and radio.is_systems:
        child = CHILD
    if child is not None and (said := await _tried(child)) is not None:
        return said
    return await _scan_trouble(radio)


async def _scan_trouble(radio: Radio) -> str | None:
    try:
        async with radio.scan():
            return None
    except RadioError as error:
        return str(error)


async def _tried(child: Sequence[str]) -> str | None:
    """Run a child that tries the radio; return what its end means."""
    process = await asyncio.create_subprocess_exec(
        *child,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        stdout, _ = await asyncio.wait_for(process.communicate(), CHILD_S)
    except TimeoutError:
        return ASKED
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
    code = process.returncode or 0
    if code == SAID:
        return stdout.decode(errors="replace").strip()
    return NOT_ALLOWED if code < 0 or code > SIGNALS else None


def system_adapters(root: Path = BLUETOOTH) -> tuple[str, ...]:
    """Return the names of this computer's Bluetooth adapters, where Linux tells them: "hci0"."""
    return tuple(sorted(path.name for path in root.glob("hci*") if ":" not in path.name))


def main() -> int:
    """Try the system's radio: exit code 0, or `SAID` with a sentence on stdout."""
    said = asyncio.run(_scan_trouble(Radio()))
    if said is None:
        return 0
    sys.stdout.write(said)
    return SAID


if __name__ == "__main__":
    sys.exit(main())
