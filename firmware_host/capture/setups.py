"""The set-up that evenings begin with: which sensor sits where, kept beside the nights in `setup.toml`.

`record` without arguments repeats it; `--config FILE.toml` reads the same form from elsewhere.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from pathlib import Path

import msgspec

from firmware_host import body
from firmware_host.capture.computer import folder_trouble
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.identity import Wanted
from firmware_host.capture.local_zone import local_zone
from firmware_host.errors import (
    BadFileError,
    BadValueError,
    NotEmptyError,
    NotFoundError,
    SensorError,
    StorageError,
    TwitchmapError,
)
from firmware_host.recording.night import write_toml, zone
from firmware_host.sensors import model_named
from firmware_host.sensors.protocol import Model, check_rate

SETUP_FILE = "setup.toml"
LONGEST_H = 48.0


class SetupSensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One sensor of a set-up; named by its address, its name, or its model alone."""

    site: str
    address: str = ""
    """As this computer knows it."""
    name: str = ""
    """As advertised, or its last word."""
    serial: str = ""
    model: str = ""
    """Name of the model: "witmotion"."""
    rate: float | None = None
    """Hz that it is set to; else its model's usual rate."""
    adapter: str = ""
    """Bluetooth adapter, as "hci1"; else any."""
    placement: str = ""
    """How it sits there, in the user's words."""

    def wanted(self) -> Wanted:
        """Return the sensor as links look for it."""
        return Wanted(
            site=self.site,
            address=self.address or None,
            name=self.name or None,
            model=model_named(self.model) if self.model else None,
            fs_hz=self.rate,
            adapter=self.adapter or None,
        )


class Setup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Who sleeps, with which sensors, until when."""

    sensors: tuple[SetupSensor, ...] = ()
    participant: str = ""
    """A pseudonym."""
    time_zone: str = ""
    """IANA name; else the computer's."""
    until: str = ""
    """The night's planned end on the wall clock, "07:00"."""
    hours: float | None = None
    """The night's planned length; the earlier of the two ends it."""
    virtual: bool = False
    """Made-up sensors: they are played, at their sites, by their models."""

    def wanted(self) -> tuple[Wanted, ...]:
        """Return the sensors as links look for them."""
        return tuple(sensor.wanted() for sensor in self.sensors)

    def placements(self) -> dict[str, str]:
        """Return how the sensors sit, by site, of those of which it was said."""
        return {sensor.site: sensor.placement for sensor in self.sensors if sensor.placement}

    def adapters(self) -> tuple[str, ...]:
        """Return the adapters that are named, each once."""
        return tuple(dict.fromkeys(sensor.adapter for sensor in self.sensors if sensor.adapter))

    def plan(self) -> PlannedEnd:
        """Return when the night ends."""
        return PlannedEnd(time_of_day(self.until) if self.until else None, self.hours)


def time_of_day(text: str) -> time:
    """Return a time on the wall clock, as 07:00.

    Raises
    ------
    BadValueError
        If it is none, or has seconds, which no set-up and no page keeps.
    """
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - the night has the time zone
    except ValueError:
        raise BadValueError(f"{text!r} is no time of day; write it as 07:00.") from None


def setup_path(directory: Path) -> Path:
    """Return where the set-up of a folder of nights is kept."""
    return directory / SETUP_FILE


def load_setup(directory: Path) -> Setup:
    """Return the set-up of a folder of nights.

    Raises
    ------
    NotFoundError
        If there is none yet.
    BadFileError
        If it cannot be understood; as `read_setup`.
    """
    path = setup_path(directory)
    if not path.exists():
        raise NotFoundError(
            f"There is no set-up in {directory} yet: run `twitchmap setup`, or name sensors with "
            "--sensor SITE=NAME_OR_ADDRESS."
        )
    return read_setup(path)


def read_setup(path: Path) -> Setup:
    """Read a set-up from a file of that form.

    Raises
    ------
    NotFoundError
        If there is no such file.
    BadFileError
        If it cannot be understood; the sentence says where, and for an unknown key which ones there are.
    """
    if path.is_dir():
        sentence = f"{path} is a folder, and a set-up is a file: move it away, or name another."
        raise BadFileError(sentence, path=path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.") from None
    except UnicodeDecodeError as error:
        raise BadFileError(f"{path} cannot be read as TOML: it is not UTF-8.", path=path) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error
    try:
        setup = msgspec.convert(tomllib.loads(text), Setup)
        check_setup(setup)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadFileError(f"{path} cannot be read as TOML: {error}.", path=path) from error
    except (msgspec.ValidationError, BadValueError) as error:
        raise BadFileError(f"{path} is no set-up: {_plainly(str(error))}", path=path) from error
    return setup


def save_setup(directory: Path, setup: Setup) -> Path:
    """Keep the set-up of a folder of nights, private to the user; return its file.

    The old or the new one is there whole, whatever happens.

    Raises
    ------
    BadValueError
        If it could not be used: `check_setup`.
    StorageError
        If the disk refuses; the old file is then untouched.
    """
    check_setup(setup)
    path = setup_path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path} could not be written ({error.strerror or error}).") from error
    write_toml(path, {key: value for key, value in msgspec.to_builtins(setup).items() if value is not None})
    return path


def known_setup(directory: Path) -> Setup | None:
    """Return the set-up of a folder of nights if there is one that can be read."""
    try:
        return load_setup(directory)
    except TwitchmapError:
        return None


def placed(sensors: Sequence[SetupSensor], placements: Mapping[str, str]) -> tuple[SetupSensor, ...]:
    """Return sensors with how they sit, in the user's words.

    Raises
    ------
    BadValueError
        If no sensor sits at a site that is named.
    """
    sites = [one.site for one in sensors]
    for site in placements:
        if site not in sites:
            raise BadValueError(f"No sensor sits at {site}; sites are {', '.join(sites)}.")
    return tuple(
        msgspec.structs.replace(one, placement=placements.get(one.site, one.placement)) for one in sensors
    )


def setup_to_renew(directory: Path, *, virtual: bool = False) -> Setup:
    """Return the set-up that a new one will take the place of; an empty one where there is none.

    To be asked before somebody taps sensors, as all that is refused here is refused at the end.

    Raises
    ------
    NotEmptyError
        If made-up sensors would take the place of real ones.
    BadFileError, StorageError
        If the one that is there cannot be read, or nothing can be written there.
    """
    if (trouble := folder_trouble(directory)) is not None:
        raise StorageError(trouble)
    old = read_setup(path) if (path := setup_path(directory)).exists() else Setup()
    if virtual and old.sensors and not old.virtual:
        raise NotEmptyError(
            f"{path} holds a set-up of real sensors, which made-up ones do not replace: choose another "
            "folder with --dir."
        )
    return old


def renew_setup(
    directory: Path,
    sensors: Sequence[SetupSensor],
    *,
    participant: str | None = None,
    time_zone: str | None = None,
    until: str | None = None,
    hours: float | None = None,
    virtual: bool = False,
) -> Setup:
    """Keep a set-up of these sensors; what else is not given stays as it was. Return it.

    Raises
    ------
    NotEmptyError, BadFileError, StorageError
        As `setup_to_renew`.
    BadValueError
        If it could not be used.
    """
    old = setup_to_renew(directory, virtual=virtual)
    end = (old.until, old.hours) if until is None and hours is None else (until or "", hours)
    setup = Setup(
        sensors=tuple(sensors),
        participant=old.participant if participant is None else participant,
        time_zone=(old.time_zone or local_zone() or "") if time_zone is None else time_zone,
        until=end[0],
        hours=end[1],
        virtual=virtual,
    )
    save_setup(directory, setup)
    return setup


def check_setup(setup: Setup) -> None:
    """Check what a night would be recorded with.

    Raises
    ------
    BadValueError
        For no sensor, an unknown site, model or time zone, a site or sensor that is named twice, a sensor
        that nothing names or that cannot sit at its site, or a rate, time or length that cannot be.
    """
    if not setup.sensors:
        raise BadValueError("it names no sensor; each is a [[sensors]] with a site and an address or name.")
    for field in ("site", "address", "serial"):
        values = [value for one in setup.sensors if (value := getattr(one, field).casefold())]
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise BadValueError(f"two sensors have the {field} {twice[0]}; each needs its own.")
    for sensor in setup.sensors:
        body.site(sensor.site)
        if not (sensor.address or sensor.name or sensor.model):
            raise BadValueError(f"the sensor at {sensor.site} needs an address, a name or a model.")
        if setup.virtual and not sensor.model:
            raise BadValueError(f"the made-up sensor at {sensor.site} needs a model.")
        if sensor.model:
            check_place(sensor.site, model_named(sensor.model))
            check_possible(sensor.site, model_named(sensor.model), sensor.rate)
        if sensor.rate is not None and not 45 <= sensor.rate <= 1000:
            raise BadValueError(
                f"the sensor at {sensor.site} cannot have a rate of {sensor.rate:g} Hz; 45 to 1000 can be."
            )
    if setup.time_zone:
        zone(setup.time_zone)
    if setup.until:
        time_of_day(setup.until)
    if setup.hours is not None and not 0 < setup.hours <= LONGEST_H:
        raise BadValueError(f"a night of {setup.hours:g} hours cannot be; up to {LONGEST_H:g} are possible.")


def check_place(site: str, model: Model) -> None:
    """Check that a model can be worn at a site.

    Raises
    ------
    BadValueError
        If it can be worn elsewhere only.
    """
    place = body.site(site).base.partition("_")[2]
    if model.places and place not in model.places:
        raise BadValueError(
            f"A {model.label} can be worn at the {' or '.join(model.places)} only, not at {site}."
        )


def check_possible(site: str, model: Model | None, fs_hz: float | None) -> None:
    """Check that a model can be set to a rate; not known is possible.

    Raises
    ------
    BadValueError
        If it cannot.
    """
    if model is not None and fs_hz is not None:
        try:
            check_rate(f"{site}: a {model.label} sensor", fs_hz, model.rates_hz)
        except SensorError as error:
            raise BadValueError(str(error)) from None


def _plainly(said: str) -> str:
    """Turn msgspec's words into ours: which key, where, and which keys there are."""
    where = re.search(r" - at `\$?\.?(.*?)`$", said)
    what = said[: where.start()] if where else said
    unknown = re.search(r"unknown field `(.*)`", what)
    if unknown:
        struct = SetupSensor if where and where[1].startswith("sensors") else Setup
        return (
            f"there is no key {unknown[1]!r} {'in a sensor' if struct is SetupSensor else 'at its top'}; "
            f"keys are {', '.join(struct.__struct_fields__)}."
        )
    return f"{what.rstrip('.')}{f' (at {where[1]})' if where and where[1] else ''}."
