"""What can go wrong in a lab."""


class LabError(RuntimeError):
    """The lab could not be built or operated; the text says which step failed and what the tool answered."""


class LabTimeoutError(TimeoutError):
    """What was waited for did not happen in time; the text says what was seen instead."""
