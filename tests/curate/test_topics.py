"""Topics and libraries of a row."""

from __future__ import annotations

import pytest

from codefit.curate.topics import OTHER, libraries, topic_names, topics
from tests.curate.conftest import row


@pytest.mark.parametrize(
    ("request_", "answer", "topic"),
    [
        ("Reverse the words of a sentence, keep punctuation.", "s[::-1]", "strings"),
        ("Sort a list of numbers in ascending order.", "sorted(x)", "sorting"),
        ("Check if a number is prime.", "def f(n):\n    return n > 1", "arithmetic"),
        ("Say which weekday a date is.", "import datetime\nd = datetime.date(1, 1, 1)", "dates and times"),
        ("Find the shortest path in a weighted graph.", "x = 1", "graphs"),
        ("Solve the 0/1 knapsack problem by dynamic programming.", "x = 1", "dynamic programming"),
        ("Do as I say.", "import re\nx = re.findall('a', 'b')", "regular expressions"),
        ("Model a car.", "class Car:\n    pass", "classes"),
        ("Fetch a page.", "import requests\nrequests.get('http://a')", "web"),
        ("Load the table.", "import pandas as pd\nd = pd.DataFrame()", "data frames and arrays"),
        ("Greet.", "print('hi')", OTHER),
    ],
)
def test_clearest_topic(request_: str, answer: str, topic: str) -> None:
    found = topics(row("a", request_, answer))
    assert found[0] == topic
    assert set(found) <= set(topic_names())
    assert 1 <= len(found) <= 3


def test_one_chance_word_in_a_long_story_is_no_topic() -> None:
    story = " ".join(f"noun{i}" for i in range(60))
    assert topics(row("a", f"{story} prime", "x = 1")) == (OTHER,)
    assert topics(row("a", f"{story} prime factorial", "x = 1")) == ("arithmetic",)
    assert topics(row("a", story, "x = 1", tags=("dp",))) == ("dynamic programming",)


def test_libraries_are_the_imported_top_level_modules() -> None:
    code = "import os.path, numpy as np\nfrom collections.abc import Set\nfrom . import own"
    assert libraries(row("a", response=code)) == ("collections", "numpy", "os")
    assert libraries(row("a", response="import ;")) == ()
    assert libraries(row("a", response="import os", language="java")) == ()
