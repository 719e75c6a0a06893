"""Every command says an expected error in one line, hides secrets, and shows where on request."""

import pytest

from ligo_cpc_snn import benchmark, doctor, export, optimize, report
from ligo_cpc_snn.search.matched import __main__ as matched
from ligo_cpc_snn.strain import __main__ as strain

COMMANDS = {
    "benchmark": (benchmark.main, ["--repeats", "0"]),
    "benchmark data": (benchmark.main, ["data", "data.window_seconds=never"]),
    "doctor": (doctor.main, ["--hidden-below"]),
    "export": (export.main, ["--hidden-below"]),
    "matched filter": (matched.main, ["--hidden-below"]),
    "optimize": (optimize.main, ["--explain", "hidden-below"]),
    "report": (report.main, ["hidden-below"]),
    "strain": (strain.main, ["hidden-below"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_expected_error_is_one_line(name, capfd, monkeypatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "hidden-below")
    main, arguments = COMMANDS[name]
    assert main(arguments) == 1
    said = capfd.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "hidden-below" not in said


@pytest.mark.parametrize("name", COMMANDS)
def test_where_it_came_from_is_shown_on_request(name, monkeypatch) -> None:
    monkeypatch.setenv("LIGO_TRACEBACK", "1")
    main, arguments = COMMANDS[name]
    with pytest.raises(Exception, match=r"\w") as caught:
        main(arguments)
    assert not isinstance(caught.value, SystemExit)
