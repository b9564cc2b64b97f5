"""What stands in the way of Bluetooth on this computer, in one sentence that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

from firmware_host.errors import RadioError

SERVICE = (
    "The Bluetooth service of this computer (bluetoothd) is not running: "
    "start it with `sudo systemctl start bluetooth`."
)
GROUP = (
    "The system does not let this user use Bluetooth: add the user to the group `bluetooth`, and log in anew."
)
SENTENCES = {
    "NO_BLUETOOTH": "This computer has no Bluetooth adapter, or it was unplugged: plug one in.",
    "NO_BLE_CENTRAL_ROLE": "The Bluetooth adapter of this computer knows no Bluetooth Low Energy: "
    "plug in a newer one.",
    "POWERED_OFF": "Bluetooth is off: switch it on.",
    "DENIED_BY_USER": "This program may not use Bluetooth: allow it in the system's privacy settings.",
    "DENIED_BY_SYSTEM": "The system does not let this program use Bluetooth: ask whoever looks after it.",
    "DENIED_BY_UNKNOWN": "This program may not use Bluetooth: allow it in the system's privacy settings.",
    "UNKNOWN": "Bluetooth cannot be used: switch it off and on again.",
}
BLOCKED = {
    "soft": "Bluetooth is blocked by the system: run `rfkill unblock bluetooth`.",
    "hard": "Bluetooth is switched off by a switch or key of this computer: switch it on there.",
}
GONE = (
    "ServiceUnknown", "NameHasNoOwner", "NoReply", "NoServer", "Disconnected", "TimedOut", "Timeout",
    "Spawn.", "systemd1.",
)  # fmt: skip
"""Parts of D-Bus error names that say that nobody answers in bluetoothd's name."""
RFKILL = Path("/sys/class/rfkill")


def is_radio_error(error: BaseException) -> bool:
    """Tell a failure of this computer's Bluetooth from one of a sensor."""
    return _sentence(error) is not None


def radio_error(error: BaseException) -> RadioError:
    """Return the sentence for whatever a scan or connection failed with."""
    if isinstance(error, RadioError):
        return error
    said = str(error) or type(error).__name__
    return RadioError(_sentence(error) or f"Bluetooth cannot be used ({said}): switch it off and on again.")


def _sentence(error: BaseException) -> str | None:
    reason = getattr(getattr(error, "reason", None), "name", None)  # BleakBluetoothNotAvailableError
    name = str(getattr(error, "dbus_error", ""))  # BleakDBusError
    if reason == "POWERED_OFF" or name == "org.bluez.Error.NotReady":
        return BLOCKED.get(_blocked() or "", SENTENCES["POWERED_OFF"])
    if reason == "DENIED_BY_SYSTEM" and sys.platform == "linux":
        return GROUP
    if reason in SENTENCES:
        return SENTENCES[reason]
    if name.endswith("AccessDenied"):
        return GROUP
    if (
        any(part in name for part in GONE)
        or "bluez.service" in str(error)  # systemd cannot start it, for whatever reason
        or isinstance(error, FileNotFoundError | ConnectionError | EOFError)
    ):
        return SERVICE
    if "adapter" in str(error) and "not found" in str(error):
        return SENTENCES["NO_BLUETOOTH"]
    return None


def _blocked() -> str | None:
    """Return what blocks Bluetooth by the kernel's radio switches: "hard", "soft" or nothing."""
    for switch in RFKILL.glob("*"):
        try:
            if (switch / "type").read_text().strip() == "bluetooth":
                for kind in ("hard", "soft"):
                    if (switch / kind).read_text().strip() == "1":
                        return kind
        except OSError:  # unplugged this moment
            continue
    return None
