"""Reads a report's HTML by the standard library alone, as whoever gets the file would."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr"}


@dataclass
class Element:
    """An element with what stands in it."""

    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def find(self, tag: str = "", **having: str) -> list[Element]:
        """Return the elements in it of a tag, in order, whose attributes are (or, for `cls`, hold) these."""
        found = []
        for child in self.children:
            if isinstance(child, str):
                continue
            if tag in {"", child.tag} and all(child.has(*each) for each in having.items()):
                found.append(child)
            found += child.find(tag, **having)
        return found

    def has(self, name: str, value: str) -> bool:
        """Tell whether an attribute is this."""
        if name == "cls":
            return value in self.attributes.get("class", "").split()
        return self.attributes.get(name.replace("_", "-")) == value

    @property
    def text(self) -> str:
        """All that is read in it."""
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join("".join(parts).split())


class Reader(HTMLParser):
    """Builds the tree; a tag that is not closed in order is a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element that is closed at once."""
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Take text."""
        self._open[-1].children.append(data)


def read_html(html: str) -> Element:
    """Return a document."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader.root


@dataclass
class Page:
    """One night's page: what stands on it."""

    section: Element

    def row(self, table: str, site: str) -> list[str]:
        """Return the cells of a site's row."""
        (found,) = self.section.find("table", cls=table)
        (row,) = found.find("tr", data_site=site)
        return [cell.text for cell in row.children if isinstance(cell, Element)]

    def seconds(self, site: str) -> dict[str, int]:
        """Return what a site's night was good for, from the times as they are printed."""
        (found,) = self.section.find("table", cls="sensors")
        (row,) = found.find("tr", data_site=site)
        return {cell.attributes["data-kind"]: seconds(cell.text) for cell in row.find("td", cls="num")
                if "data-kind" in cell.attributes}  # fmt: skip

    def list(self, name: str) -> list[str]:
        """Return the items of a list."""
        (found,) = self.section.find("ul", cls=name)
        return [item.text for item in found.find("li")]

    def line(self, name: str) -> str:
        """Return a paragraph."""
        return self.section.find("", cls=name)[0].text


def seconds(text: str) -> int:
    """Return the seconds of "7:31:24"."""
    hours, minutes, rest = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(rest)


def pages_of(html: str) -> list[Page]:
    """Return the pages of a report's nights."""
    return [Page(section) for section in read_html(html).find("section", cls="night")]
