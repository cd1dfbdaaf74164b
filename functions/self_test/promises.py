"""What Careloop promises a practice, as a self-test finds it broken."""


class PromiseBroken(Exception):
    """What Careloop promises a practice did not happen; each says what, in words for its staff."""


class SurveyNotSent(PromiseBroken):
    """The survey was not mailed."""


class PageNotShown(PromiseBroken):
    """The survey did not open at the public address."""


class AnswerNotAccepted(PromiseBroken):
    """The answer was not accepted at the public address."""


class AnswerNotRecorded(PromiseBroken):
    """The answer does not stand in the table as it was given, or not once."""


class StaffNotAlerted(PromiseBroken):
    """No alert about the unhappy answer was sent to the staff."""


class CaseNotOpened(PromiseBroken):
    """No case was opened for the unhappy answer."""


class AnswerNotCounted(PromiseBroken):
    """The answer is not in the night's figures exactly once."""
