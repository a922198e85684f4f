# ruff: noqa: DTZ001, RUF001 - local times without a zone, in the letters of other languages
"""Numbers, dates, clocks and texts of computers anywhere."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_formats import read
from nexuslims_formats.locales.dates import read_clock, read_dates, read_datetime
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.locales.months import MONTHS
from nexuslims_formats.locales.numbers import has_decimal_commas, split_number
from nexuslims_formats.model import InstrumentContext, Moment
from nexuslims_formats.quantities import mapped, quantity
from nexuslims_formats.times import first_moment, moment, place

DAY = datetime(2016, 5, 17, 15, 4, 5)


@pytest.mark.parametrize(
    ("date", "clock"),
    [
        ("5/17/2016", "3:04:05 PM"), ("17/05/2016", "15:04:05"), ("17-May-16", "15:04:05"),
        ("17-5-2016", "15:04:05"), ("17.5.2016", "15.04.05"), ("2016-05-17", "15:04:05"),
        ("17. května 2016", "15:04:05"), ("17 Mayıs 2016 Salı", "15:04:05"),
        ("Dienstag, 17. Mai 2016", "15:04:05"), ("17 mai 2016", "15h04m05s"),
        ("17 de mayo de 2016", "3:04:05 p. m."), ("17 maja 2016", "15:04:05"),
        ("17 мая 2016 г.", "15:04:05"), ("2016. máj. 17.", "du. 3:04:05"),
        ("2016年5月17日", "15時04分05秒"), ("平成28年5月17日", "午後 3:04:05"),
        ("2016/5/17", "下午 3:04:05"), ("2016. 5. 17.", "오후 3:04:05"),
        ("17/5/2559", "15:04:05"), ("２０１６／０５／１７", "１５：０４：０５"),
        ("\u200e17/\u200e05/\u200e2016", "\u200e15:04:05"), ("20160517", "15:04:05"),
        ("May 17, 2016", "3:04:05 p.m."), ("17. toukokuuta 2016", "15.04.05"),
        ("17.05.2016 15:04:05", ""), ("5/17/2016 3:04:05 PM", ""), ("2016-05-17T15:04:05", ""),
        ("Tue May 17 15:04:05 2016", ""), ("2016:05:17 15:04:05", ""),
        ("H28.5.17", "15:04:05"), ("H28/05/17", "午後3:04:05"), ("17 Mai 2016", "15.04.05 Uhr"),
        ("17.05.2016", "3:04:05 nachm."), ("2016/5/17", "3:04:05 PTG"), ("20160517", "150405"),
        ("17 Mai 2016", "3:04:05 soir"),
        ("١٧/٠٥/٢٠١٦", "١٥:٠٤:٠٥"), ("17.05.16", "15:04:05"), ("17. Mai 16", "15:04:05"),
        ("2016年5月17日 下午3:04:05", ""), ("2016年5月17日星期二下午3:04:05", ""),
        ("2016年5月17日 星期二 下午 3:04:05", ""), ("2016年5月17日 午後3時04分05秒", ""),
        ("2016년 5월 17일 화요일 오후 3:04:05", ""), ("2016. 5. 17. 오후 3:04:05", ""),
        ("2016. 05. 17. 15:04:05", ""), ("2016. május 17. 15:04:05", ""),
        ("17 Mayıs 2016 Salı ÖS 3:04:05", ""), ("17.5.2016 PM 3:04:05", ""),
        ("5/17/2016 3:04:05 p. m.", ""), ("5/17/2016 3:04:05 PM Tuesday", ""),
        ("20160517150405", ""), ("20160517_150405", ""), ("2016-05-17 15-04-05", ""),
    ],
)  # fmt: skip
def test_one_moment_in_many_locales(date, clock):
    reading = read_datetime(date, clock)
    assert (reading.when, reading.others, reading.problem) == (DAY, (), "")


@given(st.datetimes(datetime(1980, 1, 1), datetime(2199, 1, 1)), st.sampled_from(sorted(MONTHS)))
def test_every_name_of_a_month_is_read(when, name):
    months = MONTHS[name]
    day = when.replace(month=months[0], day=min(when.day, 28), hour=0, minute=0, second=0)
    day = day.replace(microsecond=0)
    for text in (f"{day.day} {name.upper()} {day.year}", f"{day.year} {name} {day.day}"):
        assert read_dates(text)[0] == day


@given(
    st.times(),
    st.sampled_from(["AM PM", "a.m. p.m.", "午前 午後", "上午 下午", "오전 오후", "ÖÖ ÖS"]),
    st.booleans(),
)
def test_clocks_of_twelve_hours(time, marks, first):
    mark = marks.split()[time.hour >= 12]
    clock = f"{time.hour % 12 or 12}:{time.minute:02}:{time.second:02}"
    expected = timedelta(hours=time.hour, minutes=time.minute, seconds=time.second)
    assert read_clock(f"{mark} {clock}" if first else f"{clock} {mark}") == expected


@pytest.mark.parametrize("clock", ["3:04:05 MU", "3:04:05 xyz.", "ξψ 3:04:05", "11:04:05 Abc"])
def test_an_unknown_half_of_the_day_is_named(clock):
    reading = read_datetime("17.05.2016", clock)
    assert "half of the day" in reading.problem


@pytest.mark.parametrize(
    "clock", ["3:04:05 Uhr", "3:04:05 CST", "15:04:05 xyz", "3:04:05", "3:04 h", "klo 3.04.05"]
)
def test_other_words_beside_a_clock_do_not_matter(clock):
    assert read_datetime("17.05.2016", clock).problem == ""


@pytest.mark.parametrize(
    "text", ["2016年5月17日 10:00", "平成28年5月17日 10:00", "17.05.2016 10時00分"]
)
def test_signs_of_a_date_are_no_half_of_the_day(text):
    reading = read_datetime(text)
    assert (reading.when, reading.problem) == (datetime(2016, 5, 17, 10), "")


@pytest.mark.parametrize(
    "text",
    ["2016-12-31 24:00:00", "31.12.2016 24:00", "2016-12-31T23:59:60", "12/31/2016 23:59:60"],
)
def test_the_end_of_a_day_is_the_next_one(text):
    assert read_datetime(text).when == datetime(2017, 1, 1)


@pytest.mark.parametrize("text", ["2016-12-31 24:00:01", "2016-12-31 12:00:60", "2016-12-31 25:00"])
def test_beyond_the_end_of_a_day_there_is_no_time(text):
    assert read_datetime(text) is None


def test_a_time_after_that_of_the_file_is_doubtful():
    found = moment("tag", "2066-05-17 15:04:05")
    assert (
        place(found, None, 1.7e9).doubt == "creation_time is later than the file was written (tag)"
    )
    assert place(moment("tag", "2016-05-17 15:04:05"), None, 1.7e9).doubt == ""
    assert place(found, None, 0.0).doubt == ""  # when the file was written is not known


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ("2016-10-30 02:30:00", True), ("2016-03-27 02:30:00", True),
        ("2016-10-30 04:30:00", False), ("2016-10-30T02:30:00+01:00", False),
    ],
)  # fmt: skip
def test_an_hour_that_clocks_show_twice_or_never_is_doubtful(text, doubtful):
    placed = place(moment("tag", text), InstrumentContext("x", "Europe/Berlin"), 1.7e9)
    assert ("an hour off" in placed.doubt) == doubtful


def test_a_day_without_a_time_is_said_to_be_one():
    found = moment("tag", "17.05.2016")
    assert (found.when, found.only_day) == (datetime(2016, 5, 17), True)
    assert place(found, None, 0.0).doubt == (
        "creation_time is at midnight, for only the day is known (tag)"
    )
    assert not moment("tag", "17.05.2016", "0:00:00").only_day


@pytest.mark.parametrize("date", ["", "0000:00:00 00:00:00", "N/A", "--", "00/00/00", "unknown"])
def test_a_time_that_is_not_set_is_no_fault(date):
    assert moment("tag", date) == Moment(None, "tag")


@pytest.mark.parametrize("date", ["yesterday", "१७/१३/२०१६", "garbage", "Ⅴ"])
def test_a_time_that_cannot_be_read_is_said(date):
    assert "cannot be read" in moment("tag", date).problem


def test_a_date_of_two_readings_keeps_the_other():
    day, month = datetime(2020, 3, 4, 10), datetime(2020, 4, 3, 10)
    american = read_datetime("03/04/2020", "10:00:00 AM")
    assert (american.when, american.others) == (day, (month,))
    # most who write a clock of 24 hours put the day first
    assert read_datetime("03/04/2020", "10:00:00").when == month
    assert read_datetime("03.04.2020", "10:00:00").others == ()
    settled = read_datetime("03/04/2020", "10:00:00", near=datetime(2020, 3, 4, 9))
    assert (settled.when, settled.others) == (day, ())


@pytest.mark.parametrize(
    ("date", "when", "others"),
    [
        ("17/05/16", (2016, 5, 17), [(2017, 5, 16)]),
        ("19/05/08", (2008, 5, 19), [(2019, 5, 8)]),
        ("10-11-12", (2012, 11, 10), [(2012, 10, 11), (2010, 11, 12)]),
    ],
)
def test_two_digits_may_be_a_year_in_front(date, when, others):
    """JEOL and Hitachi of Japan write 19/05/08 for what is 08/05/19 in Britain."""
    reading = read_datetime(date, "15:04:05")
    assert reading.when == datetime(*when, 15, 4, 5)
    assert [(one.year, one.month, one.day) for one in reading.others] == others
    assert read_datetime(date, "15:04:05", near=datetime(*when, 15)).others == ()


def test_nothing_is_acquired_after_its_file_was_written():
    found = read_datetime("16/05/31", "15:04:05", near=datetime(2019, 7, 1))
    assert (found.when, found.others) == (datetime(2016, 5, 31, 15, 4, 5), ())
    early = read_datetime("16/05/31", "15:04:05", near=datetime(1980, 1, 1))
    assert len(early.others) == 1  # the clock of the file's computer is wrong: nothing is settled


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2016-05-17 15:04:05 JST", 9), ("Tue May 17 15:04:05 CEST 2016", 2),
        ("17.05.2016 15:04:05 MESZ", 2), ("05/17/2016 03:04:05 PM PDT", -7),
    ],
)  # fmt: skip
def test_named_zones_are_kept(text, hours):
    zone = timezone(timedelta(hours=hours))
    assert read_datetime(text).when == DAY.replace(tzinfo=zone)


def test_a_name_of_two_zones_is_none():
    assert read_datetime("2016-05-17 15:04:05 CST").when == DAY


def test_offsets_are_kept():
    offset = timezone(timedelta(hours=2))
    assert read_datetime("2023-06-27 14:55:41 +0200").when == datetime(
        2023, 6, 27, 14, 55, 41, tzinfo=offset
    )
    assert read_datetime("Tue, 17 May 2016 15:04:05 GMT").when == DAY.replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "31/02/2016", "2016-13-45", "1-2", "17.05.1899"])
def test_what_is_no_date_of_a_microscope_is_none(text):
    assert read_datetime(text) is None


def test_a_clock_that_cannot_be_read_is_a_problem_and_no_midnight_in_silence():
    assert "'25:99' cannot be read" in read_datetime("17.05.2016", "25:99").problem
    unread = moment("the tag", "seventeen 7")
    assert (unread.when, "'seventeen 7' (the tag)" in unread.problem) == (None, True)
    assert moment("the tag", "0000:00:00 00:00:00").problem == ""
    read_later = moment("another", "2016-05-17 15:04:05")
    assert first_moment(None, unread, read_later) == read_later
    assert first_moment(unread, moment("c", "")) == unread


@given(st.text(max_size=60), st.text(max_size=30))
def test_no_text_makes_it_raise(date, clock):
    reading = read_datetime(date, clock)
    if reading is not None:
        assert 1980 <= reading.when.year < 2200
    decode(date.encode("utf-8", "surrogatepass"))
    split_number(date)


@given(st.binary(max_size=80), st.booleans())
def test_no_bytes_make_it_raise(raw, cut):
    text, encoding = decode(raw, cut=cut)
    assert isinstance(text, str)
    assert encoding


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15,5 kV", (15.5, "kV")), ("1.234,5", (1234.5, "")), ("1,234.5", (1234.5, "")),
        ("12'000 V", (12000.0, "V")), ("1\u00a0234,5 nm", (1234.5, "nm")),
        ("1,5e-3", (0.0015, "")), ("\u22125 mm", (-5.0, "mm")), ("-,5", (-0.5, "")),
        ("1,234,567", (1234567.0, "")), ("0,123", (0.123, "")), ("１２．５", (12.5, "")),
        ("8.2 mm.", (8.2, "mm")), ("1,234", None), ("12,3,4", None), ("5.0.1", None), ("", None),
        ("kV 5", None), ("1e400", None), ("1.#INF", None), ("-1.#IND", None), ("1.#QNAN", None),
        ("3,000E+004", (30000.0, "")), ("1.5x10^-5 Pa", (1.5e-5, "Pa")), ("2,5·10⁻⁵", (2.5e-5, "")),
        ("1.5 × 10−5 mbar", (1.5e-5, "mbar")), ("512 x 10", (512.0, "x 10")),
        ("١٥٫٥ kV", (15.5, "kV")), ("۲٬۵۰۰٫۵ V", (2500.5, "V")),
    ],
)  # fmt: skip
def test_numbers(text, expected):
    assert split_number(text) == expected


def test_what_stands_beside_it_settles_a_comma():
    assert has_decimal_commas(["9,5 mm", "15,000 V"]) is True
    assert has_decimal_commas(["9.5 mm", "15,000 V"]) is False
    assert has_decimal_commas(["15,000 V", "off"]) is None
    rows = [("working_distance", "WD", "mm"), ("acceleration_voltage", "HV", "V")]
    german = dict(mapped({"WD": "9,5", "HV": "15.000"}.get, rows))
    english = dict(mapped({"WD": "9.5", "HV": "15,000"}.get, rows))
    assert (
        german == english == {"working_distance": (9.5, "mm"), "acceleration_voltage": (15e3, "V")}
    )
    # validation refuses the text, and says so
    assert dict(mapped({"HV": "15,000"}.get, rows)) == {"acceleration_voltage": "15,000"}


@given(st.floats(-1e12, 1e12, allow_subnormal=False).map(lambda number: round(number, 2)))
def test_a_number_is_the_same_in_every_locale(number):
    english = f"{number:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    swiss, french = english.replace(",", "'"), german.replace(".", "\u202f")
    for text in (english, german, swiss, french):
        assert quantity(text, "m") == (number, "m")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Körner, 3 µm bei 25 °C"), ("cp1252", "Übergröße"), ("cp1252", "créée à l’été"),
        ("cp932", "山田"), ("cp932", "鉄鋼試料 観察"), ("cp932", "サンプル"),
        ("gb18030", "张伟"), ("gb18030", "用户：李明"), ("cp949", "시료: 강철 시편, 김철수"),
        ("cp1251", "Иванов И.И., образец стали"), ("cp1254", "Öğrenci Işık, 17 Ağustos"),
        ("utf-8", "3 µm 鉄"), ("utf-16", "3 µm 鉄"), ("utf-16-le", "3 µm"),
        ("utf-16-le", "試料=steel\nuser=山田"), ("utf-16-be", "試料=steel\nuser=山田"),
        ("cp932", "山田 ｻﾝﾌﾟﾙ 試料"), ("iso2022_jp", "試料 3"),
        ("cp1250", "Jiří Dvořák, vzorek č. 3"),
        ("cp1250", "Łukasz Żółć, próbka"), ("cp1252", "José Peña"), ("cp1252", "Søren Kjær, 20 °C"),
        ("cp1252", "São Paulo, déjà vu, Müller"), ("cp1255", "שם משתמש: דוד כהן, מיקרוסקופ"),
        ("cp1253", "Ηλεκτρονικό μικροσκόπιο, Γιώργος"), ("koi8_r", "Иванов И.И., образец стали"),
        ("cp866", "Электронный микроскоп"), ("cp437", "Müller, Größe 25 µm"),
        ("cp850", "Höhe für Jörg"), ("euc_jp", "走査電子顕微鏡の画像"),
        ("cp1254", "İstanbul, ışık"),
        ("cp1252", "5 µm, 20 µm"), ("big5", "鋼鐵樣品"),
    ],
)  # fmt: skip
def test_encodings_are_decided_by_the_letters(encoding, text):
    assert decode(text.encode(encoding))[0] == text


def test_bytes_that_may_be_anything_are_kept():
    assert decode(b"a\xff\x01\x81")[0] == "a\\xff\x01\\x81"
    assert decode("caf\xc3".encode("latin-1"), cut=True) == ("caf", "utf-8")
    assert decode("ชื่อผู้ใช้ สมชาย".encode("cp874"))[1] == "ascii"
    assert decode("المجهر الإلكتروني".encode("cp1256"))[1] == "ascii"
    assert decode(b"abc\0\0\0\0\0") == ("abc\0\0\0\0\0", "utf-8")


def test_a_date_that_cannot_be_read_makes_the_file_partial(tmp_path, dm_file):
    data = {"Data": b"\0" * 16, "DataType": (5, 2), "Dimensions": {"a": (5, 2), "b": (5, 2)}}
    bar = {"Acquisition Date": "17 Fructidor CCXXIV", "Acquisition Time": "15:04:05"}
    path = tmp_path / "a.dm3"
    tree = {"ImageList": {"a": {"ImageData": data, "ImageTags": {"DataBar": bar}}}}
    path.write_bytes(dm_file(3).bytes(tree))
    found = read(path)
    assert found.outcome == "partial"
    assert "17 Fructidor" in found.reason
    (dataset,) = found.datasets
    assert dataset.extensions["creation_time_source"] == "file modification time"
    assert "17 Fructidor" in " ".join(dataset.warnings)


def test_letters_that_are_kept_as_bytes_are_named(tmp_path):
    text = "#FORMAT: EMSA/MAS Spectral Data File\n#OWNER: {}\n#NPOINTS: 1\n#SPECTRUM:\n1\n"
    path = tmp_path / "a.msa"
    path.write_bytes(text.format("สมชาย").encode("cp874"))
    (dataset,) = read(path).datasets
    assert dataset.metadata["operator"].startswith("\\xca\\xc1")
    assert [one for one in dataset.warnings if "kept as bytes" in one]
