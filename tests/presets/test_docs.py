"""The documentation of sources: its examples load, and it leaves no key out."""

import re
import textwrap
import typing

import pytest
from pydantic import BaseModel

from adapters.services import read_presets
from domain.sources.auth import Auth
from domain.sources.file import load_sources
from domain.sources.listing import LinkPages, ListEndpoint, OffsetPages, TokenPages
from domain.sources.request import CancelEndpoint, StatusEndpoint, SubmitEndpoint
from domain.sources.source import HttpLimits, Outcomes, Source
from tests.app.loading import ROOT

SETTINGS = {"BUILDS_TOKEN": "t", "SUBSCRIPTION_ID": "s"}
DOCS = (ROOT / "docs/sources.md").read_text(encoding="utf-8")


def examples(file: str) -> list[str]:
    """The indented blocks of a page that begin with a source's table."""
    text = (ROOT / file).read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE)
    found = [textwrap.dedent(block).strip() for block in blocks]
    return [block for block in found if block.startswith("[sources.")]


KINDS = typing.get_args(Auth)
ENDPOINTS = (StatusEndpoint, ListEndpoint, SubmitEndpoint, CancelEndpoint)
PAGES = (TokenPages, LinkPages, OffsetPages)
TABLES = (Source, *ENDPOINTS, *PAGES, Outcomes, HttpLimits, *KINDS)


@pytest.mark.parametrize(("file", "count"), [("README.md", 1), ("docs/sources.md", 2)])
def test_the_examples_load(file: str, count: int) -> None:
    assert len(examples(file)) == count
    for example in examples(file):
        assert load_sources(example, SETTINGS, presets=read_presets()).default


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_key_is_told(table: type[BaseModel]) -> None:
    keys = table.model_fields.keys() - {"name"} if table is Source else table.model_fields.keys()
    told = set(re.findall(r"`\[?\.?(\w+)\]?`", DOCS)) | {"kind"}
    assert keys <= told


def test_every_kind_of_auth_is_told() -> None:
    for table in KINDS:
        (kind,) = typing.get_args(table.model_fields["kind"].annotation)
        assert f"| `{kind}` |" in DOCS
