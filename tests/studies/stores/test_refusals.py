"""What a store says again, whoever asks how often: one clear error, at once, that shows no secret."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.errors import FormatVersionError, StorageError
from runspread.studies.stores.objects import reason
from runspread.studies.stores.urls import open_store

from .servers import OPTIONS

ANSWERS = {
    "ExpiredToken": (400, "The provided token has expired.", "credentials have expired"),
    "RequestTimeTooSkewed": (403, "The difference between the request time ...", "clock of this machine"),
    "NoSuchBucket": (404, "The specified bucket does not exist", "no such bucket"),
    "AuthorizationHeaderMalformed": (400, "expecting 'eu-1'", "another region"),
    "MethodNotAllowed": (405, "no", "cannot do what was asked"),
    "AccessDenied": (403, "canary-secret", "may not be used"),
}


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("obstore")
    said: dict[str, object] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said["asked"] = said.get("asked", 0) + 1
            code = said["code"]
            status, message = ANSWERS[code][:2] if code in ANSWERS else (404, "no bucket has it")
            body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OPTIONS.items():
            patch.setenv(f"AWS_{name.upper()}", value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{http.server_port}")
        yield said
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize("code", ANSWERS)
def test_a_refusal_is_one_error_at_once(server, code):
    server |= {"code": code, "asked": 0}
    for words in (["info"], ["variance"], ["verify"], ["copy", "s3://other/there"]):
        done = CliRunner().invoke(cli, [words[0], "s3://my-bucket/study", *words[1:]])
        assert (done.exit_code, done.output.count("error: ")) == (2, 1), done.output
        assert ANSWERS[code][2] in " ".join(done.output.split())
        assert "canary" not in done.output
    assert server["asked"] == 4  # nothing is tried again
    with pytest.raises(StorageError, match=ANSWERS[code][2]):
        rs.create_study("s3://my-bucket/study")


def test_an_object_that_is_missing_is_no_missing_bucket(server):
    """A bucket whose own name or key says "bucket" was taken for one that is not there."""
    server |= {"code": "NoSuchKey"}
    with pytest.raises(KeyError):
        open_store("s3://my-bucket/study").read("bucket.json")
    for verb in ("write", "create"):
        with pytest.raises(StorageError, match="the store answers NoSuchKey"):
            getattr(open_store("s3://my-bucket/study"), verb)("a", b"1")


def test_what_an_answer_says_is_shown_without_what_was_asked():
    assert reason("GET http://x: <Code>SlowDown</Code><Message>later</Message>") == "the store answers SlowDown: later"
    assert reason("error sending request Debug source: Generic { uri: Some(http://x) }") == "error sending request"


def test_a_plan_of_a_newer_version_in_a_store_is_refused(tmp_path):
    study = rs.create_study(f"memory://{tmp_path}", splits={"test": np.arange(6) % 2})
    store = open_store(study.location)
    text = store.read("study.json").decode()
    store.write("study.json", re.sub(r'"version": \d', '"version": 9', text).encode())
    with pytest.raises(FormatVersionError, match="version 9"):
        rs.open_study(study.location)
    done = CliRunner().invoke(cli, ["info", study.location])
    assert (done.exit_code, done.output.count("error: ")) == (2, 1)
