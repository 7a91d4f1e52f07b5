"""A MovieLens of three users and four films in the official formats, quirks included."""

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
def official_1m(tmp_path: Path) -> Path:
    """The same ratings in the format of ml-1m, where an age is the first of its group and an occupation a number."""
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    (folder / "ratings.dat").write_text("".join(line.replace("\t", "::") + "\n" for line in RATINGS))
    (folder / "movies.dat").write_bytes(
        "9::Misérables, Les (1995)::Drama|Musical\n"
        "10::Toy Story (1995)::Animation|Children's|Comedy\n"
        "2::unknown::unknown\n"
        "30::Great: Giving (1994) (V)::Children's|Animation\n".encode("latin-1")
    )
    (folder / "users.dat").write_text("2::F::50::0::94043\n10::M::1::10::T8H1N\n1::M::18::20::85711-1234\n")
    return folder


@pytest.fixture
def official_20m(tmp_path: Path) -> Path:
    """The same ratings in the format of ml-20m and later, but for a half star more on some."""
    folder = tmp_path / "ml-20m"
    folder.mkdir()
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,9,5.0,881250949\n1,10,3.5,881250949\n1,30,4.0,881250900\n"
        "2,2,0.5,878887116\n10,9,4.5,891717742\n"
    )
    (folder / "movies.csv").write_text(
        "movieId,title,genres\n"
        "2,Untitled,(no genres listed)\n"
        '9,"Misérables, Les (1995)",Drama|Musical\n'
        "10,Toy Story (1995) ,Animation|Children's|Comedy\n"
        '30,"""Great"" Giving (1994) (V)",Animation|Children\'s\n',
        encoding="utf-8",
    )
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n")
    return folder


@pytest.fixture
def zipped() -> Callable[[Path], Path]:
    """Packs a folder as the official archive is packed: one folder within."""

    def pack(folder: Path) -> Path:
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, f"{folder.name}/{file.name}")
        return path

    return pack


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FEDCTR_CACHE", str(folder))
    return folder
