"""Hits as pictures, in terminals that show them and in those that do not."""

from __future__ import annotations

import base64
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping

import pytest
from PIL import Image

from client.scripted_server import ScriptedServer
from client.shell import run
from tashihiki.v1 import search_pb2

KITTY, SIXEL, BLOCK = b"\x1b_G", b"\x1bP", "▀".encode()
ASKED = b"\x1b[c"
CAN_SIXEL, CANNOT = b"\x1b[?62;4;22c", b"\x1b[?62;22c"


def _jpeg(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def answering(server: ScriptedServer) -> ScriptedServer:
    hits = [
        search_pb2.Hit(id=f"mug_{colour}", similarity=0.5, thumbnail=_jpeg(colour))
        for colour in ("red", "blue")
    ]
    server.answer("Search", search_pb2.SearchResponse(hits=hits))
    return server


def in_a_terminal(
    server: ScriptedServer,
    environment: Mapping[str, str],
    *options: str,
    answer: bytes = b"",
    typed: bytes = b"",
    rows: int = 24,
    piped: bool = False,
) -> bytes:
    """What `tashihiki search` writes to a terminal of 80 columns, or to a pipe beside it.

    `answer` is what the terminal says of itself when it is asked; `typed` lies ready from the
    start.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 800, 480))
    os.write(ours, typed)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    code = (
        "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "from tashihiki.cli.app import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "search", "items", "red", *options],
        stdin=theirs,
        stdout=subprocess.PIPE if piped else theirs,
        stderr=theirs,
        env={**kept, "TASHIHIKI_SERVER": server.target, **environment},
        start_new_session=True,
    )
    os.close(theirs)
    written = b"" if process.stdout is None else process.stdout.read()
    while True:
        try:
            block = os.read(ours, 1 << 16)
        except OSError:
            # What a terminal's master reads when nobody has it open any more.
            break
        if not block:
            break
        written += block if not piped else b""
        if answer and ASKED in written:
            os.write(ours, answer)
            answer = b""
    os.close(ours)
    if process.stdout is not None:
        process.stdout.close()
    assert process.wait() == 0
    return written


@pytest.mark.parametrize(
    ("environment", "options", "answer", "drawn"),
    [
        ({"TERM": "xterm-kitty"}, (), b"", KITTY),
        ({"TERM": "foot"}, (), b"", SIXEL),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, (), b"", SIXEL),
        ({"TERM": "xterm-256color"}, (), CAN_SIXEL, SIXEL),
        ({"TERM": "xterm-256color"}, (), CANNOT, None),
        ({"TERM": "xterm-256color"}, (), b"", None),
        ({"TERM": "xterm-256color"}, ("--pictures", "always"), CANNOT, BLOCK),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, (), CANNOT, None),
        ({"TERM": "xterm-kitty"}, ("--pictures", "never"), b"", None),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, (), b"", None),
        ({"TERM": "dumb", "KITTY_WINDOW_ID": "1"}, (), b"", None),
    ],
)
def test_pictures_are_drawn_where_the_terminal_shows_them(
    environment: dict[str, str],
    options: tuple[str, ...],
    answer: bytes,
    drawn: bytes | None,
    answering: ScriptedServer,
) -> None:
    written = in_a_terminal(answering, environment, *options, answer=answer)
    found = [sign for sign in (KITTY, SIXEL, BLOCK) if sign in written]
    assert found == ([] if drawn is None else [drawn])
    assert b"mug_red" in written
    assert answering.received("Search")[0].include_thumbnails == (drawn is not None)


def test_what_a_terminal_is_sent_are_the_thumbnails(answering: ScriptedServer) -> None:
    written = in_a_terminal(answering, {"TERM": "xterm-kitty"})
    parts = re.findall(rb"\x1b_G[^;]*f=100[^;]*;([^\x1b]*)\x1b", written)
    with Image.open(io.BytesIO(base64.b64decode(b"".join(parts)))) as strip:
        left, right = strip.convert("RGB").resize((2, 1)).get_flattened_data()
    assert left[0] > 2 * left[2]
    assert right[2] > 2 * right[0]


def test_what_is_typed_ahead_is_left_alone(answering: ScriptedServer) -> None:
    written = in_a_terminal(answering, {"TERM": "xterm"}, answer=CAN_SIXEL, typed=b"ls")
    assert ASKED not in written
    assert SIXEL not in written
    assert b"mug_red" in written


def test_an_answer_is_found_behind_what_is_typed_meanwhile(answering: ScriptedServer) -> None:
    written = in_a_terminal(answering, {"TERM": "xterm"}, answer=b"ls" + CAN_SIXEL)
    assert SIXEL in written


def test_a_terminal_of_unknown_size_gets_the_table(answering: ScriptedServer) -> None:
    written = in_a_terminal(answering, {"TERM": "xterm-kitty"}, rows=0)
    assert KITTY not in written
    assert b"warning: the pictures cannot be drawn" in written
    assert written.count(b"mug_red") == 1


@pytest.mark.usefixtures("plain_terminal")
def test_without_standard_input_there_are_no_pictures(
    answering: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert run("search", "items", "red") == 0
    assert "mug_red" in capsys.readouterr().out


def test_captions_show_ids_as_they_are(server: ScriptedServer) -> None:
    hit = search_pb2.Hit(id="x_:heart:_1", similarity=0.5, thumbnail=_jpeg("red"))
    server.answer("Search", search_pb2.SearchResponse(hits=[hit]))
    written = in_a_terminal(server, {"TERM": "xterm-kitty"})
    assert written.count(b"x_:heart:_1") == 2


def test_a_pipe_gets_no_pictures_unless_they_are_asked_for(answering: ScriptedServer) -> None:
    kitty = {"TERM": "xterm-kitty"}
    assert b"\x1b" not in in_a_terminal(answering, kitty, piped=True)
    assert BLOCK in in_a_terminal(answering, kitty, "--pictures", "always", piped=True)


@pytest.mark.usefixtures("plain_terminal")
def test_without_the_library_pictures_are_refused_only_where_they_are_asked_for(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "textual_image.renderable", None)
    assert run("search", "items", "red", "--pictures", "always") == 1
    error = capsys.readouterr().err
    assert "pip install -e '.[sheet]'" in error
    assert not server.calls
    monkeypatch.setattr("tashihiki.cli.terminal_pictures._shows_pictures", lambda environment: True)
    assert run("search", "items", "red") == 0
