"""Long texts: cut in the middle, for the cause of a failure stands at the end of a log."""

_CUT = " … "


def both_ends(text: str, length: int) -> str:
    """The text, at most `length` characters long: a third of it from the start, then the end."""
    if len(text) <= length:
        return text
    if length <= 3 * len(_CUT):
        return text[:length]
    start = (length - len(_CUT)) // 3
    return text[:start].rstrip() + _CUT + text[start + len(_CUT) - length :].lstrip()
