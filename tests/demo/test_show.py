import io

from rich.console import Console

from demo.show import show_progress


def view(
    state: str, status: str | None, progress: int | None, message: str | None
) -> dict[str, object]:
    return {
        "monitor": {"state": state, "rawStatus": status, "progress": progress, "message": message}
    }


VIEWS = [
    view("Monitoring", None, None, None),
    view("Monitoring", "processing", 5, "[bold] 3 primes"),
    view("Monitoring", "processing", 5, "[bold] 3 primes"),
    view("Succeeded", "completed", 100, "9 primes"),
]


def test_without_a_terminal_each_change_is_a_line() -> None:
    said: list[str] = []

    last = show_progress(Console(file=io.StringIO()), said.append, VIEWS)
    assert last == VIEWS[-1]
    assert said == [
        "  0 % Monitoring",
        "  5 % Monitoring, processing, [bold] 3 primes",
        "100 % Succeeded, completed, 9 primes",
    ]


def test_on_a_terminal_there_is_a_bar_and_no_lines() -> None:
    screen, said = io.StringIO(), list[str]()

    show_progress(Console(file=screen, force_terminal=True, width=120), said.append, VIEWS)
    assert said == []
    assert "Succeeded, completed, 9 primes" in screen.getvalue()
