"""How old the patient was, from an age or a birth date as senders write them.

What is written can often be read in two ways ("05.03.19", "190305", "15-16Y"). Then the youngest
counts: hilum reads adults alone, and nobody is made older by a guess.

References
----------
PS3.5 6.2, value representations AS and DA.
"""

import math
import re
from collections.abc import Iterator
from datetime import date

from pydicom.dataset import Dataset

from inference.image.acquisition import is_day_taken
from inference.image.folding import fold
from inference.image.header import text, texts

# units of an age in days, each with how its names begin, folded; the first that fits counts
_UNITS = (
    (1.0, ("jour",)),
    (7.0, ("haf",)),
    (1 / 24, ("h", "uur", "ore", "ora", "std", "stu", "godz", "sa", "ч", "時", "小时")),
    (30.44, ("m", "ay", "мес", "か月", "ゕ月", "ゖ月", "け月", "个月", "個月", "箇月", "月")),
    (7.0, ("w", "sem", "set", "ned", "tyg", "нед", "週", "周")),
    (365.25, ("y", "j", "a", "let", "lat", "rok", "л", "год", "г", "歳", "才", "岁", "歲", "f")),
    (1.0, ("d", "t", "g", "дн", "日", "天")),
)
_BELOW = ("<", "under", "unter ", "below", "bis ")
_SEX = re.compile(r"(?<=[\W\d])/\s*[mf]\s*$|^\s*[mf]\s*/")  # "64/M", "F/64"
_OLDEST = 120  # years; an earlier birth date is a placeholder
# the first year of an era is the year after this one
_ERAS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018, "民国": 1911}
_ERAS |= {"m": 1867, "t": 1911, "s": 1925, "h": 1988, "r": 2018, "民國": 1911}
# what de-identification puts in a date's place, such as "d14a028c2a3a": no date has these
_SCRAMBLED = re.compile(r"\d(?!t\d\d:?\d\d)[a-z]{1,2}\d")
_ERA = re.compile(rf"({'|'.join(_ERAS)})\W*(\d{{6}}|\d{{1,3}}(?!\d)|元)")


def age_years(ds: Dataset) -> float | None:
    """Return the age at the examination, from Patient's Age or else the birth date.

    A bare number, as some exporters write, is years. An age of 0 beside a birth date is what
    programs write that know none; of two other ages that differ the younger counts.
    """
    ages = [age for value in texts(ds, "PatientAge") if (age := _stated_age(value)) is not None]
    stated = min(ages, default=None)
    counted = _ages_by_birth(ds)
    if not counted:
        return stated
    if not stated:
        return min(counted)
    near = [age for age in counted if abs(age - stated) < 2]
    return min(stated, *(near or counted))


def age_at_most(ds: Dataset) -> float | None:
    """Return the age today by the birth date: no film shows a patient who was older.

    Of a birth date that can be read in two ways the oldest counts; None without any.
    """
    today = date.today()
    ages = [(today - b).days / 365.25 for b in _births_stated(ds) if b <= today]
    return max((age for age in ages if age < _OLDEST), default=None)


def birth_not_understood(ds: Dataset) -> bool:
    """Whether a birth date is stated that is none, or that fits no living patient."""
    value = " ".join(texts(ds, "PatientBirthDate"))
    return (
        bool(re.search("[1-9]", fold(value))) and bool(_days_taken(ds)) and not _ages_by_birth(ds)
    )


def _stated_age(value: str) -> float | None:
    """Read "064Y", "64", "5 years old", "Y064", "1Y 3M" or "15-16Y"; None for anything else."""
    value = _SEX.sub("", fold(value)).strip()
    found = re.findall(r"(\d+(?:[.,]\d+)?)\W*([^\W\d]*)", value)
    before = re.match(
        r"\W*([^\W\d]*)", value.removeprefix(next(filter(value.startswith, _BELOW), ""))
    )
    if not found or len(found) > 3 or value.startswith("-"):
        return None
    unit = (before[1] if before else "") or "y"
    days: list[float] = []
    last = 0.0
    for amount, named in reversed(found):  # "15-16Y": the unit of the last is the first one's
        unit = named or unit
        one, count = _days("1", unit), _days(amount, unit)
        if one is None or count is None:
            return None
        if days and one > last:
            days[-1] += count  # "1Y 3M"
        else:
            days.append(count)  # another age
        last = one
    years = min(days) / 365.25
    return math.nextafter(years, 0) if value.startswith(_BELOW) else years


def _days(amount: str, unit: str) -> float | None:
    days = next((days for days, names in _UNITS if unit.startswith(names)), None)
    whole = amount.partition(",")[0].partition(".")[0]
    return None if days is None or len(whole) > 4 else float(amount.replace(",", ".")) * days


def _ages_by_birth(ds: Dataset) -> list[float]:
    """Return each age that the birth date can mean."""
    births = _births_stated(ds)
    for taken in _days_taken(ds):
        ages = [
            max((taken - birth).days, 0) / 365.25
            for birth in births
            if birth <= taken or (birth.year == taken.year and birth == _last_of(birth.year))
        ]
        if ages := [age for age in ages if age < _OLDEST]:
            return ages
    return []


def _births_stated(ds: Dataset) -> set[date]:
    return {birth for value in texts(ds, "PatientBirthDate") for birth in _births(fold(value))}


def _days_taken(ds: Dataset) -> list[date]:
    """Return when the film was taken, as far as the year can be told.

    A placeholder and a day to come are none (`inference.image.acquisition`).
    """
    keywords = ("AcquisitionDate", "StudyDate", "SeriesDate", "ContentDate")
    stated = [text(ds, "AcquisitionDateTime")[:8], *(text(ds, keyword) for keyword in keywords)]
    found = [max(_births(fold(value)), default=None) for value in stated]
    return [day for day in found if day and is_day_taken(day, date.today())]


def _births(value: str) -> set[date]:
    """Return each day that a date can mean: the last one of the year where only that is stated."""
    if _SCRAMBLED.search(value):
        return set()
    if era := _ERA.match(value.strip()):
        digits = era[2][:2] if len(era[2]) == 6 else era[2]
        return {_last_of(_ERAS[era[1]] + (1 if digits == "元" else int(digits)))}
    numbers = re.findall(r"\d+", value)
    if len(numbers) == 4 and all(len(one) == 2 for one in numbers):
        numbers = ["".join(numbers)]  # "20-19-03-05"
    if len(numbers) >= 3 and len(numbers[0]) == 4:
        numbers = ["".join([numbers[0], *(one.zfill(2) for one in numbers[1:3])])]
    if numbers and len(numbers[0]) >= 5:
        return set(_in_digits(numbers[0]))
    years = {year for one in numbers if len(one) in (3, 4) for year in _years(one)}
    if not years:
        years = {year for one in _short_years(value, numbers) for year in _years(one)}
    return set(map(_last_of, years))


def _short_years(value: str, numbers: list[str]) -> Iterator[str]:
    """Yield the numbers that can be a year of two digits: "05.03.19", "19-03-05", "Mar-19"."""
    short = [one for one in numbers if len(one) == 2]
    if re.search(r"[^\W\d]{3}", value) and len(numbers) < 3:
        yield from short
    elif len(numbers) == 3:
        first, second, third = numbers
        if third in short and _is_day(first, second):
            yield third
        if first in short and _is_day(second, third) and not re.search(r"\d[./]", value):
            yield first


def _in_digits(digits: str) -> Iterator[date]:
    """Yield each day that a run of digits can mean: "19400305", "05031940", "190305", "2019064"."""
    if len(digits) in (12, 14):
        digits = digits[:8]
    if (day := _day(digits[:4], digits[4:6], digits[6:])) and len(digits) == 8:
        yield day
        return
    forms = {
        8: ((4, 8, 0, 2),),
        6: ((0, 2, 2, 4), (4, 6, 0, 2)),
    }.get(len(digits), ())
    likely = [
        digits[start:end]
        for start, end, one, other in forms
        if _is_day(digits[one : one + 2], digits[one + 2 : one + 4])
    ]
    if len(digits) == 6 and "01" <= digits[4:] <= "12":
        likely.append(digits[:4])  # "194003"
    if len(digits) == 7:
        likely.append(digits[:3])
    if len(digits) != 6 and not any(_years(one) for one in likely if len(one) == 4):
        likely += [digits[:4], digits[-4:]]
    yield from {_last_of(year) for one in likely for year in _years(one)}


def _day(year: str, month: str, day: str) -> date | None:
    """Return a day of this calendar, in a year that patients are born in."""
    try:
        return date(int(year), int(month), int(day)) if "1850" <= year <= "2200" else None
    except ValueError:
        return None


def _is_day(one: str, other: str) -> bool:
    """Whether two numbers can be a day and a month, in either order."""
    low, high = sorted((int(one), int(other)))
    return 1 <= low <= 12 and high <= 31


def _years(digits: str) -> tuple[int, ...]:
    """Return each year that a number can mean: of two digits, or of another calendar."""
    year = int(digits)
    if len(digits) == 2:
        return 1900 + year, 2000 + year
    if len(digits) == 3:
        return (1911 + year,) if 1 <= year <= 200 else ()  # the Republic of China's
    if 1850 <= year <= 2200:
        return (year,)
    if 2400 <= year <= 2700:
        return (year - 543,)  # the Buddhist calendar
    if 1270 <= year <= 1500:  # the Persian calendar, and the Islamic one
        return year + 622, int(year * 0.9703) + 623
    return ()


def _last_of(year: int) -> date:
    return date(year, 12, 31)
