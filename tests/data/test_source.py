import hashlib
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fedctr.data.source import Web, Wheel, obtain
from fedctr.errors import FedctrError

CONTENT = b"ratings " * 100_000


class Handler(BaseHTTPRequestHandler):
    """Serves ``/whole``, and ``/broken``, which ends before what it announced."""

    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        if self.path not in ("/whole", "/broken"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/whole" else CONTENT[:1000])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Handler.requests = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


def web(url: str, content: bytes = CONTENT) -> Web:
    return Web("data.zip", len(content), hashlib.sha256(content).hexdigest(), url)


def nobody_listens() -> Web:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return web(f"http://127.0.0.1:{port}/whole")


def wheel(folder: Path) -> Wheel:
    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    content = path.read_bytes()
    return Wheel(path.name, len(content), hashlib.sha256(content).hexdigest(), str(path))


def test_a_download_is_stored_whole(server: str, tmp_path: Path) -> None:
    assert obtain("films", [web(f"{server}/whole")], tmp_path / "new") == tmp_path / "new" / "data.zip"
    assert (tmp_path / "new" / "data.zip").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["data.zip"]


def test_what_is_stored_is_not_fetched_again(server: str, tmp_path: Path) -> None:
    for _ in range(2):
        obtain("films", [web(f"{server}/whole")], tmp_path)
    assert Handler.requests == ["/whole"]


def test_a_stored_file_that_was_altered_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(CONTENT[::-1])
    with pytest.raises(FedctrError, match=r"data.zip: expected SHA-256 .*, found .*; delete it, then run 'fedctr"):
        obtain("films", [web("http://127.0.0.1/unused")], tmp_path)


def test_a_wrong_checksum_names_file_expected_found_and_remedy(server: str, tmp_path: Path) -> None:
    source = web(f"{server}/whole", CONTENT[::-1])
    with pytest.raises(FedctrError) as caught:
        obtain("films", [source], tmp_path)
    found = hashlib.sha256(CONTENT).hexdigest()
    assert f"data.zip: expected SHA-256 {source.sha256}, found {found}; try again later" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_is_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match=r"data.zip: expected 8 bytes, found 800,000; try again later"):
        obtain("films", [web(f"{server}/whole", b"ratings ")], tmp_path)


def test_where_one_source_has_something_else_the_next_is_taken(server: str, tmp_path: Path) -> None:
    obtain("films", [web(f"{server}/whole", CONTENT[::-1]), web(f"{server}/whole")], tmp_path)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["missing", "broken", "silent"])
def test_a_source_that_fails_is_named_and_the_next_is_taken(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    first = nobody_listens() if fault == "silent" else web(f"{server}/{fault}")
    obtain("films", [first, web(f"{server}/whole")], tmp_path)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    said = capsys.readouterr().err
    reason = {
        "missing": "Not Found",
        "broken": "the connection broke off after 1,000 of 800,000 bytes",
        "silent": "Connection refused",
    }[fault]
    assert f"films: fetching {first.label} (0.8 MB)" in said
    assert f"films: could not be fetched there: {reason}" in said
    assert f"films: fetching {server}/whole" in said


def test_when_no_source_answers_every_reason_is_given(tmp_path: Path) -> None:
    sources = [nobody_listens(), nobody_listens()]
    with pytest.raises(FedctrError) as caught:
        obtain("films", sources, tmp_path)
    assert str(caught.value) == (
        f"data set films: no source has it ({sources[0].url}: Connection refused; {sources[1].url}: Connection "
        "refused); download it by hand and give --path"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_comes_through_pip(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    source = wheel(tmp_path / "index")
    stored = obtain("films", [source], tmp_path / "new")
    assert zipfile.ZipFile(stored).namelist()[0] == "tiny-1.0.dist-info/METADATA"


def test_the_last_complaint_of_pip_is_passed_on(tmp_path: Path) -> None:
    source = Wheel("tiny.whl", 1, "", str(tmp_path / "tiny-1.0-py3-none-any.whl"))
    with pytest.raises(FedctrError, match=r"the wheel .*tiny-1.0-py3-none-any.whl: .*No such file"):
        obtain("films", [source], tmp_path / "new")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FedctrError, match="set FEDCTR_CACHE to a folder that can be written"):
        obtain("films", [web("http://127.0.0.1/unused")], tmp_path / "file" / "downloads")
