"""What a file of `review/api` declares: functions that answer requests, with structs in and out.

An endpoint is a plain function that runs in a thread. Its parameters say what it takes: `context`, the names
in its path, `query` and `body`. From their types come the checks of what arrives and the description at
`/api/openapi.json`.

>>> class ShiftQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
...     by_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
>>> class Shifted(msgspec.Struct, frozen=True):
...     at_s: float
>>> @endpoint("GET", "/nights/{night}/shifted", summary="A time, shifted")
... def shifted(context: Context, night: str, query: ShiftQuery) -> Shifted:
...     return Shifted(1 + query.by_s)
"""

from __future__ import annotations

import inspect
import math
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from firmware_host.errors import BadValueError
from firmware_host.recording import known_meta, night_named, start_and_date
from firmware_host.recording.settings import Settings, Showing, check_shown, night_showing, read_settings
from firmware_host.review.found import declared
from firmware_host.review.texts import t

Method = Literal["GET", "POST", "PUT", "DELETE"]
MARK = "_endpoint"
F = TypeVar("F", bound=Callable[..., Any])
Shared = TypeVar("Shared")
Names = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(min_length=1, max_length=2000)
]
"""Names of nights in a body, at least one."""


@dataclass(frozen=True)
class Binary:
    """An answer that is no JSON: its bytes and what they are."""

    data: bytes
    media_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """An answer that is a file of ours, sent piece by piece to be saved under its name."""

    path: Path


class Asking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query to what gives counts; `show` asks for those that are shown on request only."""

    show: bool = False


class Context:
    """What every endpoint and page is handed.

    Parameters
    ----------
    folder
        The folder of nights.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shared: dict[type[Any], Any] = {}
        self._lock = threading.RLock()

    def night(self, name: str) -> Path:
        """Return the folder of the night of that name; raises `NotFoundError` if there is none.

        The name is compared with the names in the folder and never used as a path.
        """
        return night_named(name, self.folder)

    def counted(self, name: str, query: Asking) -> Path:
        """Return as `night`, if the counts of the night may be shown; raises as `check_shown` if not."""
        path = self.night(name)
        self.check_shown(path, asked=query.show)
        return path

    @property
    def settings(self) -> Settings:
        """The folder's settings as they are now; raises `BadFileError` if they cannot be read."""
        return read_settings(self.folder)

    def showing(self, night: Path) -> Showing:
        """Return whether the counts of a night are shown: "now", "on_request" or "later"."""
        return night_showing(night, known_meta(night), start_and_date(night)[0])

    def check_shown(self, night: Path, *, asked: bool) -> None:
        """Return if the counts of a night may be shown; raises `NotShownError` with the reason if not.

        `asked` tells that somebody has asked for them in this view.
        """
        check_shown(night, known_meta(night), start_and_date(night)[0], asked=asked)

    def shared(self, kind: Callable[[Path], Shared]) -> Shared:
        """Return the one object of a class that all requests share; `kind(folder)` makes it when first asked.

        Its `close()`, if it has one, is called when the server ends.
        """
        with self._lock:
            if kind not in self._shared:
                self._shared[kind] = kind(self.folder)  # type: ignore[index]
            one: Shared = self._shared[kind]  # type: ignore[index]
            return one

    def close(self) -> None:
        """Close what requests shared."""
        with self._lock:
            for one in self._shared.values():
                if hasattr(one, "close"):
                    one.close()
            self._shared.clear()


@dataclass(frozen=True)
class Endpoint:
    """A declared endpoint; `path` is below `/api`."""

    method: Method
    path: str
    summary: str
    function: Callable[..., Any]
    parameters: dict[str, Any]
    """The names in the path and their types."""
    query: type[msgspec.Struct] | None
    body: type[msgspec.Struct] | None
    result: Any
    """The type of the answer: a struct, `Binary`, `Stored`, or None."""

    def answer(
        self, context: Context, named: dict[str, str], query: Sequence[tuple[str, str]], body: bytes
    ) -> Any:  # noqa: ANN401
        """Check what came in and call the function with it.

        Raises
        ------
        BadValueError
            If something that came in is not as declared.
        """
        given: dict[str, Any] = {
            name: _converted(named[name], kind, t("errors.in_address", name=name))
            for name, kind in self.parameters.items()
        }
        if self.query is not None:
            given["query"] = _converted(_one_each(query, self.query), self.query, t("errors.address"))
        elif query:
            raise BadValueError(t("errors.not_asked_for", name=repr(query[0][0])))
        if self.body is not None:
            try:
                given["body"] = msgspec.json.decode(body, type=self.body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise BadValueError(t("errors.not_as_expected", why=error)) from error
        elif body:
            raise BadValueError(t("errors.nothing_expected"))
        return self.function(context, **given)


def endpoint(method: Method, path: str, *, summary: str) -> Callable[[F], F]:
    """Declare a function of `review/api/` as the answer to requests of a method and path below `/api`.

    Raises
    ------
    TypeError
        If the function does not fit: see the module for what it takes.
    """

    def mark(function: F) -> F:
        setattr(function, MARK, _endpoint_of(function, method, path, summary))
        return function

    return mark


def find_endpoints() -> list[Endpoint]:
    """Return the endpoints that the files of `review/api` declare."""
    from firmware_host.review import api

    return list(declared(api, Endpoint, MARK))


def prepare_types() -> None:
    """Have msgspec look at all structs that are known by now; to be called before there are threads.

    It does so when a struct is first decoded. A second thread that comes while it does meets a struct half
    made, and the process dies of a segmentation fault (msgspec 0.22.0, `StructInfo_Convert`).
    """
    kinds: list[type[msgspec.Struct]] = [msgspec.Struct]
    for kind in kinds:  # which grows meanwhile
        kinds += kind.__subclasses__()
    for kind in kinds[1:]:
        msgspec.json.Decoder(kind)


def _endpoint_of(function: Callable[..., Any], method: Method, path: str, summary: str) -> Endpoint:
    hints = get_type_hints(function, include_extras=True)
    takes = list(inspect.signature(function).parameters)
    in_path = re.findall(r"{(\w+)}", path)
    takes_more = [name for name in takes if name not in {"context", "query", "body"}]
    if takes[:1] != ["context"] or sorted(takes_more) != sorted(in_path):
        raise TypeError(f"{function.__name__} takes {takes}, its path names {in_path}")
    if "body" in hints and method in {"GET", "DELETE"}:
        raise TypeError(f"{function.__name__}: a {method} has no body")
    for name in {"query", "body"} & set(hints):
        config = getattr(hints[name], "__struct_config__", None)
        if config is None or not (config.forbid_unknown_fields and config.frozen):
            raise TypeError(f"{function.__name__}: {name} is a frozen struct that forbids unknown fields")
    return Endpoint(
        method,
        path,
        summary,
        function,
        {name: hints[name] for name in in_path},
        hints.get("query"),
        hints.get("body"),
        hints["return"],
    )


def _one_each(query: Sequence[tuple[str, str]], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return a query as a dict; only fields that are lists may be given more than once."""
    lists = {one.encode_name for one in msgspec.structs.fields(kind) if _is_list(one.type)}
    values: dict[str, Any] = {}
    for name, value in query:
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise BadValueError(t("errors.twice", name=repr(name)))
        else:
            values[name] = value
    return values


def _is_list(kind: Any) -> bool:  # noqa: ANN401
    if get_origin(kind) is Annotated:
        return _is_list(get_args(kind)[0])
    options = [kind, *get_args(kind)]
    return any(get_origin(option) in {list, tuple} for option in options)


def _converted(value: Any, kind: Any, where: str) -> Any:  # noqa: ANN401
    """Return texts of an address as the declared type."""
    try:
        converted = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadValueError(t("errors.unusable", where=where, why=error)) from error
    numbers = msgspec.structs.astuple(converted) if isinstance(converted, msgspec.Struct) else (converted,)
    if not all(math.isfinite(number) for number in numbers if isinstance(number, float)):
        raise BadValueError(t("errors.unusable", where=where, why=t("errors.finite")))
    return converted
