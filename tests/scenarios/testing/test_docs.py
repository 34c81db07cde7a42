"""The page on testing is true: its example is run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "testing.md"
pytest_plugins = ["pytester"]


def test_the_example_passes_and_is_short(pytester: pytest.Pytester) -> None:
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "def test_every" in block
    )
    body = code[code.index("def test_every") :].strip().splitlines()
    assert len(body) <= 10
    pytester.makepyfile(code)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_a_failure_says_how_to_see_it_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.seatrial(nodes=1, seed=5)
        def test_it(cluster):
            cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: red}}")
            assert cluster.list("pods", "red")
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["replay: pytest '*::test_it' --seatrial-seed=5", "history: python -m seatrial.scenarios.testing *.journal"]
    )
    (journal,) = pytester.path.glob(".seatrial/failures/*.journal")
    replayed = pytester.runpython_c(
        f"from seatrial.scenarios.testing.__main__ import main; raise SystemExit(main([{str(journal)!r}]))"
    )
    assert replayed.ret == 0
    replayed.stdout.fnmatch_lines(["*revisions until*digest*"])
