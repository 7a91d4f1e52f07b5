"""A MovieLens of three users and four films in the official format, quirks included."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

GENRES = 19  # flags of u.item, the first of which says "unknown"


def film(number: int, title: str, date: str, *flags: int) -> str:
    raised = "|".join(str(int(flag in flags)) for flag in range(GENRES))
    return f"{number}|{title}|{date}||http://us.imdb.com/M/title-exact?{number}|{raised}"


FILMS = (
    film(9, "Misérables, Les (1995)", "20-Oct-1996", 8, 12),  # Drama, Musical
    film(10, "Toy Story (1995)", "01-Jan-1995", 3, 4, 5),  # Animation, Children's, Comedy
    film(2, "unknown", "", 0),
    film(30, "Great Giving (1994) (V)", "01-Jan-1995", 4, 3),
)
USERS = ("2|53|F|other|94043", "10|17|M|student|T8H1N", "1|24|M|technician|85711")
RATINGS = (
    "1\t10\t3\t881250949",
    "1\t9\t5\t881250949",
    "10\t9\t4\t891717742",
    "1\t30\t4\t881250900",
    "2\t2\t1\t878887116",
)


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """A folder with u.data, u.item and u.user."""
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    (folder / "u.data").write_bytes("".join(f"{line}\n" for line in RATINGS).encode())
    (folder / "u.item").write_bytes("".join(f"{line}\n" for line in FILMS).encode("latin-1"))
    (folder / "u.user").write_bytes("".join(f"{line}\n" for line in USERS).encode())
    return folder


@pytest.fixture
def recbole(tmp_path: Path) -> Path:
    """The same content as RecBole's copy has it."""
    folder = tmp_path / "recbole"
    folder.mkdir()
    (folder / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + "\n".join(RATINGS) + "\n"
    )
    (folder / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "2\tunkonwn\tunkonwn\tunknown\n"
        "9\tMisérables, Les\t1995\tDrama Musical\n"
        "10\tToy Story\t1995\tAnimation Children's Comedy\n"
        "30\tGreat Giving (1994)\tV\tAnimation Children's\n",
        encoding="utf-8",
    )
    (folder / "ml-100k.user").write_text(
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        + "".join(user.replace("|", "\t") + "\n" for user in USERS)
    )
    return folder


@pytest.fixture
def zipped() -> Callable[[Path], Path]:
    """Packs a folder as the official archive is packed: one folder within."""

    def pack(folder: Path) -> Path:
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, f"ml-100k/{file.name}")
        return path

    return pack


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FEDCTR_CACHE", str(folder))
    return folder
