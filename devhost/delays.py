"""When a message becomes visible: at once, or as late as it was measured on Azure Storage.

The figures are those of ten-second polling. A queue is asked less and less often while it is
empty, so that a timer is late by a part of its length: 5 s by 1 to 2.5 s, 60 s by 2 to 5 s.
"""

import math
import random
from datetime import datetime, timedelta

_TIMER = (0.2, 0.5)  # of its length
_LONGEST = 10.0
_MESSAGE = (0.05, 0.4)  # seconds
_SHORT = timedelta(milliseconds=50)  # what a message takes from one turn to the next


def message_at(now: datetime) -> datetime:
    """When a message that is sent now is visible on Azure Storage."""
    return now + timedelta(seconds=random.uniform(*_MESSAGE))  # noqa: S311 - no secret


def timer_at(due: datetime, now: datetime, *, like_azure: bool) -> datetime:
    """When the message of a timer is visible; the queue takes whole seconds, and cuts what is over.

    So a timer fires up to a second early: of one second, some time is gone when it is sent.
    """
    whole = max(math.ceil((due - now).total_seconds()) - 1, 0)
    visible_at = max(now + timedelta(seconds=whole), min(due, now + _SHORT))
    if not like_azure:
        return visible_at
    idle = timedelta(seconds=min(whole, _LONGEST))
    return message_at(visible_at) + random.uniform(*_TIMER) * idle  # noqa: S311
